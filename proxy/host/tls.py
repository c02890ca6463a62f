"""TLS in a node's processes, from its settings: workers serve with it, the supervisor tells of it.

The path is in-process: OpenSSL in the worker, bytes copied through it. Kernel TLS wants OpenSSL to own the
socket; uvloop gives it two buffers in memory.
"""

import contextlib
from collections.abc import AsyncIterator
from ssl import SSLContext
from typing import Any

from configs.schema.node import NodeSettings
from kit.clock import Clock
from kit.metrics import Family, Row
from kit.tasks import Owner
from proxy.tls import handshake
from proxy.tls.certificates import Certificates, watch
from proxy.tls.trust import client_context

_PATHS = ("none", "in-process")
METRICS = (
    Family("headrace_listeners", "Workers that listen, by what encrypts", "gauge", "tls", _PATHS),
    Family("headrace_tls_certificates_refused", "Certificates of workers whose new files cannot be used", "gauge"),
    Family("headrace_tls_not_after_seconds", "Unix time when the first certificate ends; 0 without TLS", "gauge"),
    *handshake.METRICS,
)


def certificates(settings: NodeSettings) -> Certificates | None:
    """What the listener serves; None without TLS. Blocks. SettingsError when a file cannot be used."""
    return Certificates(settings.tls, settings.tls_min) if settings.tls else None


def trusted(settings: NodeSettings, bases: tuple[str, ...]) -> SSLContext | None:
    """How upstreams are verified; None where none is https. Blocks. SettingsError as certificates."""
    ca = settings.upstream.ca
    return client_context(ca) if ca is not None or any(base.startswith("https:") for base in bases) else None


def usable(settings: NodeSettings) -> Certificates | None:
    """As certificates; SettingsError, too, when another file that workers will load cannot be used."""
    trusted(settings, ())
    return certificates(settings)


def at_rest(row: Row) -> None:
    """The worker of `row` ended: it has no listener."""
    for each in _PATHS:
        row.set("headrace_listeners", 0, each)
    row.set("headrace_tls_certificates_refused", 0)


def path(settings: NodeSettings) -> str:
    """What encrypts, as metric and /health say it."""
    return "in-process" if settings.tls else "none"


def describe(settings: NodeSettings, served: Certificates | None) -> dict[str, Any]:
    """The listener, for /health: what encrypts, and how the bytes of large answers reach the socket."""
    tls = {"path": path(settings), "min": settings.tls_min, "certificates": served.describe()} if served else False
    return {"tls": tls, "body": "sendfile" if settings.fast_lane and not served else "copied"}


async def in_worker(served: Certificates, settings: NodeSettings, row: Row) -> None:
    """Follow the files, for ever."""

    def looked() -> None:
        row.set("headrace_tls_certificates_refused", served.refused)

    await watch(served, settings.tls_watch_s, looked)


@contextlib.asynccontextmanager
async def in_supervisor(
    served: Certificates | None, settings: NodeSettings, clock: Clock, row: Row
) -> AsyncIterator[None]:
    """Follow the files as the workers do, to tell of them."""
    if served is None:
        yield
        return
    served.warn(clock.wall())
    owner = Owner("tls")

    def looked() -> None:
        row.set("headrace_tls_not_after_seconds", int(served.ends))

    owner.spawn("certificates", watch(served, settings.tls_watch_s, looked), endless=True)
    try:
        yield
    finally:
        await owner.close()
