"""One worker of an edge, as the nursery starts it (main), and what makes a node an edge (role)."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from configs.schema.node import EdgeSettings
from control.contract import generation
from control.contract.credential import Credential
from edge.admit.open import OpenTier
from kit.clock import Clock, SystemClock
from kit.published import Reader
from kit.workers import begin
from origin.contract.headers import NODE
from proxy.host.worker import Role, run
from proxy.http.fields import Fields
from proxy.serve.watch import Busy, Watch
from proxy.upstream.client import Sign


def role(settings: EdgeSettings, fds: Mapping[str, int] = MappingProxyType({})) -> Role:
    """What makes this node an edge; `fds` are a worker's. ValueError or OSError when keys or credential cannot be
    read."""
    bases = settings.shields or ((settings.origin,) if settings.origin else ())
    watch = _watch(settings)
    if settings.access == "open":
        return Role(OpenTier(), bases, settings.authority, watch=watch)
    if settings.keys_dir is None:
        raise ValueError('`keys_dir` is needed with `access = "token"`')
    # An open edge starts without the libraries for tokens.
    from edge.admit.token import TokenTier
    from origin.contract.revoked import FD
    from origin.contract.token import Keys, Verifier

    keys = Keys.load(settings.keys_dir).beside(settings.token_keys)
    verifier = Verifier(keys, revoked=Reader(fds[FD]) if FD in fds else None)
    tier = TokenTier(verifier, events=settings.cmcd)
    return Role(tier, bases, settings.authority, _signer(settings, fds) if settings.shields else None, watch)


def _watch(settings: EdgeSettings) -> Callable[[Busy], Watch] | None:
    """Whom nobody asks, and who says nothing, does not look."""
    told = settings.identity is not None and settings.identity.control is not None
    if not told and not settings.cmsd:
        return None
    from edge.beacon.watch import EdgeWatch  # an edge without either starts without it

    name = settings.identity.id if settings.identity else settings.name
    mbps = max(1, settings.capacity_mbps // settings.workers)
    return partial(EdgeWatch, name=name, mbps=mbps, listens=told and settings.cmcd, speaks=settings.cmsd)


def _signer(settings: EdgeSettings, fds: Mapping[str, int]) -> Sign | None:
    if settings.identity is None:
        return None
    purges = generation.Generations(fds[generation.FD]) if generation.FD in fds else None
    return signer(Credential.load(settings.identity.credential), SystemClock(), purges)


def signer(credential: Credential, clock: Clock, purges: generation.Generations | None) -> Sign:
    """Signs requests to shields, and says with them which purge this edge has heard of."""

    def fields(method: str, target: str) -> Fields:
        signed = (NODE, credential.sign("shield", method=method, target=target, now=clock.wall()))
        heard = purges.heard if purges is not None else ""
        return (signed, (generation.FIELD, heard)) if heard else (signed,)

    return fields


def main(parent: int, fds: Mapping[str, int]) -> None:
    """Be a worker of the supervisor `parent` until SIGTERM."""
    told = begin(parent, fds)
    settings = EdgeSettings.model_validate(told.payload["settings"])
    run(told, settings, role(settings, told.fds))
