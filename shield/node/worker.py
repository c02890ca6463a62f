"""One worker of a shield, as the nursery starts it (main), and what makes a node a shield (role)."""

from collections.abc import Mapping
from types import MappingProxyType

from configs.schema.base import NodeIdentity
from configs.schema.node import ShieldSettings
from control.contract import generation
from control.contract.credential import Credential
from kit.clock import SystemClock
from kit.workers import begin
from origin.contract.headers import NODE
from origin.contract.revoked import FD, RevokedNodes
from proxy.host.worker import Role, run
from shield.guard.tier import ShieldTier


def role(settings: ShieldSettings, fds: Mapping[str, int] = MappingProxyType({})) -> Role:
    """What makes this node a shield; `fds` are a worker's. ValueError or OSError when the credential cannot be read."""
    if settings.identity is None:
        raise ValueError("`identity` is needed: a shield serves only nodes that it can check")
    credential, clock = Credential.load(settings.identity.credential), SystemClock()
    return Role(
        _tier(settings.identity, credential, fds),
        settings.origins,
        sign=lambda method, target: (
            (NODE, credential.sign("origin", method=method, target=target, now=clock.wall())),
        ),
    )


def _tier(identity: NodeIdentity, credential: Credential, fds: Mapping[str, int]) -> ShieldTier:
    if FD not in fds:
        return ShieldTier(credential)
    # Without control no order ever comes here: there is nothing to compare.
    follows = identity.control is not None and generation.FD in fds
    return ShieldTier(
        credential, RevokedNodes(fds[FD]), generation.Generations(fds[generation.FD]) if follows else None
    )


def main(parent: int, fds: Mapping[str, int]) -> None:
    """Be a worker of the supervisor `parent` until SIGTERM."""
    told = begin(parent, fds)
    settings = ShieldSettings.model_validate(told.payload["settings"])
    run(told, settings, role(settings, told.fds))
