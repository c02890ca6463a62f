"""The control process: the one place where its parts meet. `python -m control.main --config FILE`."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

import aiohttp

from configs.load import load
from configs.schema.base import host_port
from configs.schema.control import ControlSettings
from control.admin.access import read_token
from control.admin.parts import administering
from control.api.app import public_app
from control.api.door import Doors
from control.api.metrics import Metrics
from control.api.service import Service, live, places, policy
from control.console.app import admin_app
from control.contract.credential import issue
from control.enrol import fleet_key
from control.enrolment.memory import MemoryRoll
from control.enrolment.model import Roll
from control.enrolment.redis_form import RedisRoll
from control.enrolment.service import Enrolment
from control.health.monitor import Monitor, Quality
from control.health.probes import Prober
from control.health.sight import SightLimits
from control.health.verdicts import MemoryVerdicts, RedisVerdicts
from control.health.watched import WatchedRegistry
from control.observed.memory import MemoryHistory
from control.observed.model import History
from control.observed.opinions import Opinions
from control.observed.quality import Votes
from control.observed.redis_form import RedisHistory
from control.observed.redis_votes import SharedVotes
from control.orders.memory import MemoryLog
from control.orders.model import Bounds, OrderLog
from control.orders.redis_form import RedisLog
from control.orders.redis_rows import OrderRows
from control.orders.service import Orders
from control.overrides.redis_form import opened
from control.registry.memory import MemoryRegistry
from control.registry.model import Registry
from control.registry.redis_form import RedisRegistry
from control.registry.redis_rows import RedisRows
from control.rollout.service import Rollout
from control.rollout.shelf import shelf
from control.steering.coming import Coming, Popular
from control.steering.place import Places
from control.steering.ranks import Ranks
from geo.live import Live
from kit import log, service
from kit.addresses import Trusted
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
    async with contextlib.AsyncExitStack() as stack:
        registry = WatchedRegistry(await _registry(settings, clock), clock, _sight(settings))
        stack.push_async_callback(registry.close)
        votes = Votes(clock, half_life_s=settings.votes_half_life_s)
        opinions = Opinions(votes, registry.map, clock, most=settings.quality_loss, expiry_s=settings.expiry_s)
        opinions.start()
        stack.push_async_callback(opinions.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        monitor = _monitor(settings, registry, clock, session, opinions.quality)
        stack.push_async_callback(monitor.close)
        orders = await _orders(settings, registry, clock, monitor.suspect)
        stack.push_async_callback(orders.close)
        roll = await _roll(settings.redis_url)
        stack.push_async_callback(roll.close)
        history = await _history(settings, clock)
        stack.push_async_callback(history.close)
        shared = await _shared(settings, votes)
        if shared is not None:
            stack.push_async_callback(shared.close)
        overrides = await opened(settings.redis_url, clock)
        stack.push_async_callback(overrides.close)
        rollout = Rollout(shelf(settings.redis_url), registry, clock, expiry_s=settings.expiry_s)
        await rollout.start()
        stack.push_async_callback(rollout.close)
        rules = policy(settings)
        losses = opinions.losses
        steering = live(settings, key, registry, rules, overrides.in_force, lambda: losses.running)
        metrics = Metrics()
        metrics.steered = lambda: {str(why): count for why, count in steering.told.items()}
        yield Service(
            settings=settings,
            credential=issue(key, "control", "control"),
            registry=registry,
            enrolment=Enrolment(key, roll, registry, clock, orders),
            orders=orders,
            monitor=monitor,
            policy=rules,
            places=table,
            geo=geo,
            history=history,
            votes=votes,
            shared=shared,
            opinions=opinions,
            ranks=Ranks(),
            clock=clock,
            metrics=metrics,
            coming=Coming(settings.session_mbps),
            popular=Popular(settings.session_mbps),
            live=steering,
            overrides=overrides,
            rollout=rollout,
            trusted=Trusted(settings.trusted_proxies),
        )


async def run(settings: ControlSettings, ready: service.Ready | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called with [public URL, admin URL]."""
    token = read_token(settings.admin_token_file)
    async with building(settings, SystemClock()) as parts, administering(parts, token) as admin:
        tasks = Owner("control")
        tasks.spawn("geo", parts.geo.follow(service.reload_signal()), endless=True)
        try:
            await service.serve(
                (public_app(parts), *host_port(settings.listen), partial(Doors, live=parts.live, clock=parts.clock)),
                (admin_app(admin), *host_port(settings.admin)),
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


def _sight(settings: ControlSettings) -> SightLimits:
    return SightLimits(settings.expiry_s, settings.silent_share, settings.silent_least, most_s=settings.silent_most_s)


def _monitor(
    settings: ControlSettings,
    registry: WatchedRegistry,
    clock: Clock,
    session: aiohttp.ClientSession,
    quality: Quality,
) -> Monitor:
    url = settings.redis_url
    verdicts = RedisVerdicts.connect(url) if url else MemoryVerdicts()
    monitor = Monitor(registry, verdicts, Prober(session), clock, every_s=settings.probe_every_s, quality=quality)
    monitor.start()
    return monitor


async def _orders(settings: ControlSettings, registry: Registry, clock: Clock, broken: Callable[[str], None]) -> Orders:
    bounds = Bounds(settings.orders_kept, settings.orders_in_flight)
    kept = await _order_log(settings.redis_url, clock, bounds)
    orders = Orders(
        kept,
        registry,
        clock,
        expiry_s=settings.expiry_s,
        shield_wait_s=settings.shield_wait_s,
        broken=broken,
    )
    orders.start()
    return orders


async def _roll(redis_url: str | None) -> Roll:
    if redis_url is None:
        return MemoryRoll()
    roll = RedisRoll.connect(redis_url)
    await roll.start()
    return roll


async def _order_log(redis_url: str | None, clock: Clock, bounds: Bounds) -> OrderLog:
    if redis_url is None:
        return MemoryLog(bounds)
    kept = RedisLog(OrderRows.connect(redis_url), clock, bounds)
    await kept.start()
    return kept


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
