"""The control process: the one place where its parts meet. `python -m control.main --config FILE`."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from configs.load import load
from configs.schema.base import host_port
from configs.schema.control import ControlSettings
from control.api.app import public_app
from control.api.metrics import Metrics
from control.api.service import Service, places, policy
from control.console.access import Access
from control.console.app import admin_app
from control.contract.credential import issue
from control.enrol import fleet_key
from control.observed.memory import MemoryHistory
from control.observed.model import History
from control.observed.quality import Votes
from control.observed.redis_form import RedisHistory
from control.observed.redis_votes import SharedVotes
from control.registry.memory import MemoryRegistry
from control.registry.model import Registry
from control.registry.redis_form import RedisRegistry
from control.registry.redis_rows import RedisRows
from control.steering.place import Places
from control.steering.ranks import Ranks
from geo.live import Live
from kit import log, service
from kit.clock import Clock, SystemClock
from kit.errors import SettingsError
from kit.tasks import Owner


@contextlib.asynccontextmanager
async def building(settings: ControlSettings, clock: Clock) -> AsyncIterator[Service]:
    """All parts of one control process; on leaving, its tasks and connections are gone. SettingsError."""
    key = fleet_key(settings.fleet_key_file)
    geo = await asyncio.to_thread(Live, settings.geo_database, clock)
    if not settings.geo_database:
        log.get("geo").warning("no geo database: clients are placed by configured networks alone")
    table = _places(settings, geo)
    registry = await _registry(settings, clock)
    history = await _history(settings, clock)
    votes = Votes(clock, half_life_s=settings.votes_half_life_s)
    shared = await _shared(settings, votes)
    try:
        yield Service(
            settings=settings,
            credential=issue(key, "control", "control"),
            registry=registry,
            policy=policy(settings),
            places=table,
            geo=geo,
            history=history,
            votes=votes,
            shared=shared,
            ranks=Ranks(),
            clock=clock,
            metrics=Metrics(),
        )
    finally:
        if shared is not None:
            await shared.close()
        await history.close()
        await registry.close()


async def run(settings: ControlSettings, ready: service.Ready | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called with [public URL, admin URL]."""
    access = Access.from_file(settings.admin_token_file)
    async with building(settings, SystemClock()) as parts:
        tasks = Owner("control")
        tasks.spawn("geo", parts.geo.follow(service.reload_signal()), endless=True)
        try:
            await service.serve(
                (public_app(parts), *host_port(settings.listen)),
                (admin_app(parts, access), *host_port(settings.admin)),
                drain_s=settings.drain_s,
                ready=ready,
            )
        finally:
            await tasks.close()


async def _registry(settings: ControlSettings, clock: Clock) -> Registry:
    limits = (settings.eligible_load, *settings.bands)
    if settings.redis_url is None:
        log.get("registry").warning("no Redis is configured: the map lives in this process only")
        return MemoryRegistry(clock, expiry_s=settings.expiry_s, limits=limits, max_nodes=settings.max_nodes)
    rows = RedisRows.connect(
        settings.redis_url, clock, regions=list(settings.regions), expiry_s=settings.expiry_s, limits=limits
    )
    registry = RedisRegistry(rows, clock, expiry_s=settings.expiry_s, limits=limits, max_nodes=settings.max_nodes)
    await registry.start()
    return registry


async def _history(settings: ControlSettings, clock: Clock) -> History:
    half_life_s, most = settings.latency_half_life_s, settings.networks_seen
    if settings.redis_url is None:
        return MemoryHistory(clock, half_life_s=half_life_s, most=most)
    history = RedisHistory.connect(settings.redis_url, clock, half_life_s=half_life_s, most=most)
    await history.start()
    return history


async def _shared(settings: ControlSettings, votes: Votes) -> SharedVotes | None:
    if settings.redis_url is None:
        return None
    shared = SharedVotes.connect(settings.redis_url, votes)
    await shared.start()
    return shared


def _places(settings: ControlSettings, geo: Live) -> Places:
    try:
        return places(settings, geo.place)
    except ValueError as error:
        raise SettingsError(f"regions: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of `python -m control.main`; 2 when a setting is wrong."""
    parser = argparse.ArgumentParser(prog="control", description="Headrace control: steering, node API, console.")
    parser.add_argument("--config", type=Path, help="TOML file; HEADRACE_CONTROL_* variables override it")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    given = parser.parse_args(arguments)
    log.setup("control", level=given.log_level)
    try:
        service.run(run(load(ControlSettings, file=given.config, process="control")))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
