"""The supervisor of a shield."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from configs.schema.node import ShieldSettings
from control.contract import generation
from control.node import kept
from control.node.embed import Standing, describer, reporting
from control.node.snapshots import at_start, with_snapshot
from kit import log, service
from kit.clock import SystemClock
from kit.errors import SettingsError
from kit.nursery import Nursery
from kit.published import Publisher
from origin.contract import revoked
from proxy.host.ordered import Ordered
from proxy.host.supervisor import Facts, run
from proxy.host.worker import Role, same_keys
from shield.node import worker


def main(read: Callable[[], ShieldSettings], ready_file: Path | None = None) -> None:
    """Run a shield until SIGTERM; SIGHUP calls `read` again. SettingsError when something that it needs is missing or
    unreadable."""
    settings = at_start(read(), "shield")
    role = _role(settings)
    log.setup("shield")
    nursery = Nursery(worker.__name__).fork()
    service.run(_serve(settings, lambda: _again(read, role), role, nursery, ready_file))


def _role(settings: ShieldSettings) -> Role:
    try:
        return worker.role(settings)
    except (OSError, ValueError) as error:
        raise SettingsError(str(error)) from None


def _again(read: Callable[[], ShieldSettings], role: Role) -> ShieldSettings:
    """The settings as they are now, checked as at the start."""
    settings = with_snapshot(read(), "shield")
    same_keys(role, _role(settings))
    return settings


async def _serve(
    settings: ShieldSettings, read: Callable[[], ShieldSettings], role: Role, nursery: Nursery, ready_file: Path | None
) -> None:
    labels = {"shield": settings.identity.id if settings.identity else settings.name}

    with (
        contextlib.closing(Publisher(revoked.MOST_BYTES)) as refused,
        contextlib.closing(generation.Told()) as purges,
    ):
        await asyncio.to_thread(kept.resume, settings.store.cache_dir[0], purges)

        @contextlib.asynccontextmanager
        async def embed(facts: Facts) -> AsyncIterator[Callable[[], dict[str, Any]]]:
            describe = describer(_standing(settings, facts), facts, SystemClock())
            orders = (Ordered(facts, role.keys_authority, refused, purges.put), settings.store.cache_dir[0])
            async with reporting(
                settings.identity, "shield", describe, SystemClock(), orders, facts.reload.now, facts.contact.heard
            ) as health:
                yield lambda: {"region": settings.region, **health()}

        reasons, share = role.tier.reasons, {revoked.FD: refused.fd, generation.FD: purges.fd}
        await run(settings, read, nursery, reasons, labels, embed, role.keys_authority, ready_file, share)


def _standing(settings: ShieldSettings, facts: Facts) -> Standing:
    return Standing(
        role="shield",
        url=facts.url,
        region=settings.region,
        cores=settings.workers,
        connections=settings.limits.connections * settings.workers,
        capacity_mbps=1000,
        reserve=False,
        started=facts.started,
        probe=settings.probe_url,
    )
