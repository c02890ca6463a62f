"""What the API process is made of, opened in order and closed in the reverse order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from configs import delivery as policies
from configs.schema.origin import OriginSettings
from control.contract.credential import Credential
from control.node import ControlLink
from control.node.follower import Follower
from geo.live import Live
from kit.addresses import Trusted
from kit.clock import Clock, SystemClock
from kit.errors import SettingsError
from origin.app.metrics import Metrics
from origin.app.operators import Operators
from origin.assets import ObjectStore
from origin.catalog.engine import default_url
from origin.catalog.service import Catalog
from origin.contract.token import Keys
from origin.delivery.body import Bodies
from origin.delivery.handler import Delivery
from origin.delivery.revoked import RevokedShields
from origin.delivery.versions import Versions
from origin.playback.edges import Edges
from origin.playback.fence import Fence
from origin.playback.service import Playback


@dataclass(frozen=True)
class Parts:
    """Everything that handlers use."""

    settings: OriginSettings
    metrics: Metrics
    operators: Operators
    catalog: Catalog
    delivery: Delivery
    playback: Playback
    geo: Live
    trusted: Trusted


def database_url(settings: OriginSettings) -> str:
    """The catalog's database."""
    return settings.database_url or default_url(str(settings.state_dir.absolute()))


@contextlib.asynccontextmanager
async def opened(settings: OriginSettings, *, clock: Clock | None = None) -> AsyncIterator[Parts]:
    """The parts of one process. SettingsError when a key or token file is missing or wrong."""
    clock = clock or SystemClock()
    metrics = Metrics()
    credential, keys = _secrets(settings)
    geo = await asyncio.to_thread(Live, settings.geo_database, clock)
    operators = Operators.load(settings.admin_token_file)
    async with contextlib.AsyncExitStack() as stack:
        catalog = Catalog.open(database_url(settings))
        stack.push_async_callback(catalog.close)
        store = ObjectStore(settings.objects_dir or settings.state_dir / "objects")
        stack.callback(store.close)
        bodies = Bodies()
        stack.callback(bodies.close)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64), auto_decompress=False)
        )
        link = ControlLink(settings.identity, "origin", clock, session) if settings.identity.control else None
        edges = Edges(link, clock, lambda source: metrics.edges.labels(source).inc())
        revoked = RevokedShields()
        if link is not None:
            await _follow(stack, link, revoked, settings.state_dir, clock)
        delivery = Delivery(Versions(catalog), store, bodies, policies.classes(), credential, clock, revoked)
        fence = Fence(catalog, geo.place, settings.home_country)
        playback = Playback(catalog, fence, edges, keys, clock, ttl_s=settings.token_ttl_s, cap_kbps=settings.cap_kbps)
        yield Parts(settings, metrics, operators, catalog, delivery, playback, geo, Trusted(settings.trusted_proxies))


async def _follow(
    stack: contextlib.AsyncExitStack, link: ControlLink, revoked: RevokedShields, directory: Path, clock: Clock
) -> None:
    """Do control's orders until the stack closes; what was refused before a restart is refused at once."""
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    follower = Follower(link, revoked, directory, clock)
    stack.push_async_callback(follower.close)
    await follower.start()


def _secrets(settings: OriginSettings) -> tuple[Credential, Keys]:
    try:
        credential = Credential.load(settings.identity.credential)
        keys = Keys.load(settings.keys_dir)
        keys.signing  # noqa: B018  (raises where this side could only verify)
    except (OSError, ValueError) as error:
        raise SettingsError(f"origin cannot start: {error}") from None
    if credential.role != "origin":
        raise SettingsError(f"{settings.identity.credential}: a credential of role {credential.role}, not origin")
    return credential, keys
