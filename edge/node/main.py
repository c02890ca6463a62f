"""The supervisor of an edge: the process that `edges[].pid` names."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from configs.schema.node import EdgeSettings
from control.contract import generation
from control.node import kept
from control.node.embed import Standing, describer, reporting
from control.node.snapshots import at_start, with_snapshot
from edge.node import worker
from kit import log, service
from kit.clock import Clock, SystemClock
from kit.errors import SettingsError
from kit.nursery import Nursery
from kit.published import Publisher
from origin.contract import revoked
from proxy.host.ordered import Ordered
from proxy.host.supervisor import Facts, run
from proxy.host.worker import Role, same_keys


def main(read: Callable[[], EdgeSettings], ready_file: Path | None = None) -> None:
    """Run an edge until SIGTERM; SIGHUP calls `read` again. SettingsError when something that it needs is missing or
    unreadable."""
    settings = at_start(read(), "edge")
    check(settings)
    role = _role(settings)
    log.setup("edge")
    nursery = Nursery(worker.__name__).fork()
    service.run(_serve(settings, lambda: _again(read, role), role, nursery, ready_file))


async def _serve(
    settings: EdgeSettings, read: Callable[[], EdgeSettings], role: Role, nursery: Nursery, ready_file: Path | None
) -> None:
    labels = {"edge_location": settings.region, "node": settings.identity.id if settings.identity else settings.name}

    with (
        contextlib.closing(Publisher(revoked.MOST_BYTES)) as refused,
        contextlib.closing(generation.Told()) as purges,
    ):
        await asyncio.to_thread(kept.resume, settings.store.cache_dir[0], purges)

        @contextlib.asynccontextmanager
        async def embed(facts: Facts) -> AsyncIterator[Callable[[], dict[str, Any]]]:
            clock = SystemClock()
            describe = describer(_standing(settings, facts), facts, clock)
            ordered = Ordered(facts, role.keys_authority, refused, purges.put)
            orders = (ordered, settings.store.cache_dir[0])
            async with (
                reporting(
                    settings.identity, "edge", describe, clock, orders, facts.reload.now, facts.contact.heard
                ) as health,
                _observing(settings, facts, clock) as seen,
            ):
                yield lambda: {"access": settings.access, "region": settings.region, **health(), **seen()}

        reasons, share = role.tier.reasons, {revoked.FD: refused.fd, generation.FD: purges.fd}
        await run(settings, read, nursery, reasons, labels, embed, role.keys_authority, ready_file, share)


@contextlib.asynccontextmanager
async def _observing(settings: EdgeSettings, facts: Facts, clock: Clock) -> AsyncIterator[Callable[[], dict[str, Any]]]:
    """What workers note goes to control while inside; yields what /health says of it."""
    if settings.identity is None or settings.identity.control is None:
        facts.post.listen(lambda _note: None)
        yield dict
        return
    # An edge without control starts without what it never uses.
    from control.node.teller import telling
    from edge.beacon.gathered import Gathered

    gathered = Gathered()
    facts.post.listen(gathered.take)
    async with telling(settings.identity, gathered.observations, settings.observations_s, clock) as told:
        yield lambda: {"viewers": gathered.health(), **told()}


def _again(read: Callable[[], EdgeSettings], role: Role) -> EdgeSettings:
    """The settings as they are now, checked as at the start."""
    settings = with_snapshot(read(), "edge")
    check(settings)
    same_keys(role, _role(settings))
    return settings


def check(settings: EdgeSettings) -> None:
    """What no single field can say. SettingsError names the settings."""
    if bool(settings.origin) == bool(settings.shields):
        raise SettingsError("exactly one of `origin` and `shields` must be set")
    if settings.shields and settings.identity is None:
        raise SettingsError("`identity` is needed with `shields`: they serve only nodes that they can check")
    if settings.access == "open" and settings.shields:
        raise SettingsError('`access = "open"` is for a standalone edge before an `origin`')


def _role(settings: EdgeSettings) -> Role:
    """The role, built once here too: keys that cannot be read are told at start, not by dying workers."""
    try:
        return worker.role(settings)
    except (OSError, ValueError) as error:
        raise SettingsError(str(error)) from None


def _standing(settings: EdgeSettings, facts: Facts) -> Standing:
    return Standing(
        role="edge",
        url=settings.public_url or facts.url,
        region=settings.region,
        cores=settings.workers,
        connections=settings.limits.connections * settings.workers,
        capacity_mbps=settings.capacity_mbps,
        reserve=settings.reserve,
        started=facts.started,
        probe=settings.probe_url,
    )
