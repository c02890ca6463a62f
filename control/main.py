"""The control process: the one place where its parts meet. `python -m control.main --config FILE`."""

import argparse
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from configs.load import load
from configs.schema.base import host_port
from configs.schema.control import ControlSettings
from control.api.app import public_app
from control.api.door import Doors
from control.api.metrics import Metrics
from control.api.service import Service, live, places, policy
from control.console.access import Access
from control.console.app import admin_app
from control.contract.credential import issue
from control.enrol import fleet_key
from control.registry.memory import MemoryRegistry
from control.registry.model import Registry
from control.registry.redis_form import RedisRegistry
from control.registry.redis_rows import RedisRows
from control.steering.coming import Coming, Popular
from control.steering.place import Places
from control.steering.ranks import Ranks
from kit import log, service
from kit.clock import Clock, SystemClock
from kit.errors import SettingsError


@contextlib.asynccontextmanager
async def building(settings: ControlSettings, clock: Clock) -> AsyncIterator[Service]:
    """All parts of one control process; on leaving, its tasks and connections are gone. SettingsError."""
    key = fleet_key(settings.fleet_key_file)
    registry = await _registry(settings, clock)
    rules = policy(settings)
    steering, metrics = live(settings, key, registry, rules, tuple), Metrics()
    metrics.steered = lambda: {str(why): count for why, count in steering.told.items()}
    try:
        yield Service(
            settings=settings,
            credential=issue(key, "control", "control"),
            registry=registry,
            policy=rules,
            places=_places(settings),
            ranks=Ranks(),
            clock=clock,
            metrics=metrics,
            coming=Coming(settings.session_mbps),
            popular=Popular(settings.session_mbps),
            live=steering,
        )
    finally:
        await registry.close()


async def run(settings: ControlSettings, ready: service.Ready | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called with [public URL, admin URL]."""
    access = Access.from_file(settings.admin_token_file)
    async with building(settings, SystemClock()) as parts:
        await service.serve(
            (public_app(parts), *host_port(settings.listen), partial(Doors, live=parts.live, clock=parts.clock)),
            (admin_app(parts, access), *host_port(settings.admin)),
            drain_s=settings.drain_s,
            ready=ready,
        )


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


def _places(settings: ControlSettings) -> Places:
    try:
        return places(settings)
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
