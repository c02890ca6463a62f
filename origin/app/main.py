"""The origin API process: `python -m origin.app.main --config FILE [--port-file FILE]`.

Brings the catalog up to date, then serves API and pages on one listener and delivery on another until SIGTERM.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from configs.load import load
from configs.schema.base import host_port
from configs.schema.origin import OriginSettings
from geo.live import Live
from kit import log, service
from kit.clock import Clock
from kit.errors import HeadraceError, SettingsError
from kit.tasks import Owner
from origin.app import parts, wire
from origin.app.api import Api
from origin.app.ingest import IngestApi
from origin.app.site import Site
from origin.app.territory import TerritoryApi
from origin.catalog.migrate import migrate


@dataclass(frozen=True)
class Applications:
    """The two listeners' applications, and the geo database that the first one asks."""

    api: web.Application
    delivery: web.Application
    geo: Live


@contextlib.asynccontextmanager
async def applications(settings: OriginSettings, *, clock: Clock | None = None) -> AsyncIterator[Applications]:
    """Both applications on opened parts; the catalog is up to date. Leave the block after the last request."""
    await migrate(parts.database_url(settings))
    async with parts.opened(settings, clock=clock) as opened:
        ingest = IngestApi(opened)
        await ingest.start()
        try:
            site = await asyncio.to_thread(Site, settings.players_dir)
            yield Applications(_api(opened, ingest, site), _delivery(opened), opened.geo)
        finally:
            await ingest.close()


async def main(settings: OriginSettings, port_file: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `port_file` gets {"api": url, "delivery": url} when both listen."""

    async def ready(urls: list[str]) -> None:
        if port_file is not None:
            await asyncio.to_thread(_write, port_file, dict(zip(("api", "delivery"), urls, strict=True)))

    async with applications(settings) as apps:
        api, delivery = host_port(settings.listen), host_port(settings.delivery)
        tasks = Owner("origin")
        tasks.spawn("geo", apps.geo.follow(service.reload_signal()), endless=True)
        try:
            await service.serve((apps.api, *api), (apps.delivery, *delivery), ready=ready)
        finally:
            await tasks.close()


def run(arguments: list[str] | None = None) -> int:
    """The command line; exit code 2 when a setting is wrong, 1 when the catalog is away."""
    parser = argparse.ArgumentParser(prog="origin", description="The origin API process.")
    parser.add_argument("--config", type=Path, required=True, help="TOML file with OriginSettings")
    parser.add_argument("--port-file", type=Path, help="write the addresses here, as JSON, when ready")
    given = parser.parse_args(arguments)
    log.setup("origin")
    try:
        service.run(main(load(OriginSettings, file=given.config, process="origin"), given.port_file))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except HeadraceError as error:
        log.get("origin").error("cannot start", kind=error.kind, reason=str(error))
        return 1
    return 0


def _api(opened: parts.Parts, ingest: IngestApi, site: Site) -> web.Application:
    app = wire.application("api", opened.metrics)
    app.add_routes([*Api(opened).routes(), *TerritoryApi(opened).routes(), *ingest.routes(), *site.routes()])
    return app


def _delivery(opened: parts.Parts) -> web.Application:
    app = wire.application("delivery", opened.metrics)
    app.router.add_route("*", "/{path:.*}", opened.delivery.handle)
    return app


def _write(file: Path, value: dict[str, str]) -> None:
    part = file.with_name(f".{file.name}.part")
    part.write_text(json.dumps(value))
    part.replace(file)


if __name__ == "__main__":
    sys.exit(run())
