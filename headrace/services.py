"""Commands that run or look after origin and control."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from configs.load import load
from configs.schema.control import ControlSettings
from configs.schema.origin import OriginSettings
from kit import log, service

origin = typer.Typer(help="Origin: serve, worker, migrate, backup, restore.", no_args_is_help=True)
Config = Annotated[Path | None, typer.Option(help="TOML file with the settings; the environment may say the same.")]
ReadyFile = Annotated[Path | None, typer.Option(help="File that gets one JSON line once it serves.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("control")(control)
    app.add_typer(origin, name="origin")


def control(config: Config = None, ready_file: ReadyFile = None) -> None:
    """Run control: node API and steering on one address, admin API and console on another.

    Example: headrace control --config /etc/headrace/control.toml
    """
    from control.main import run

    async def ready(urls: list[str]) -> None:
        if ready_file:
            line = json.dumps(dict(zip(("control", "admin"), urls, strict=True)))
            await asyncio.to_thread(ready_file.write_text, line + "\n")

    settings = load(ControlSettings, file=config, process="control")
    log.setup("control")
    service.run(run(settings, ready))


@origin.command("serve")
def serve(config: Config = None, port_file: ReadyFile = None) -> None:
    """Run origin's API and its delivery.

    Example: headrace origin serve --config /etc/headrace/origin.toml
    """
    from origin.app.main import main

    settings = load(OriginSettings, file=config, process="origin")
    log.setup("origin")
    service.run(main(settings, port_file))


@origin.command("worker")
def worker(config: Config = None) -> None:
    """Run ingest jobs.

    Example: headrace origin worker --config /etc/headrace/origin.toml
    """
    from origin.ingest.worker import run_worker

    settings = load(OriginSettings, file=config, process="origin")
    log.setup("origin-worker")
    service.run(run_worker(settings))


@origin.command("migrate")
def migrate(config: Config = None) -> None:
    """Bring the catalog's tables up to date; `serve` does it by itself.

    Example: headrace origin migrate --config /etc/headrace/origin.toml
    """
    from origin.app import maintenance

    maintenance.migrate(load(OriginSettings, file=config, process="origin"))
    print("the catalog is up to date")


@origin.command("backup")
def backup(
    out: Annotated[Path, typer.Option(help="Archive to write; it must not be there yet.")],
    config: Config = None,
    objects: Annotated[bool, typer.Option(help="With the media objects, not only catalog and keys.")] = True,
) -> None:
    """Write catalog, keys, credential and objects into one archive; everything may go on running.

    Example: headrace origin backup --config origin.toml --out headrace-2026-11-21.tar
    """
    from origin.app import maintenance

    settings = load(OriginSettings, file=config, process="origin")
    with Console(stderr=True).status("backing up"):
        manifest = maintenance.backup(settings, out, objects=objects)
    print(f"{out}: {len(manifest.files)} files, each with its digest")


@origin.command("restore")
def restore(archive: Annotated[Path, typer.Argument(help="What backup wrote.")], config: Config = None) -> None:
    """Put a backup into an empty installation, every byte checked; whole or not at all.

    Example: headrace origin restore headrace-2026-11-21.tar --config origin.toml
    """
    from origin.app import maintenance

    settings = load(OriginSettings, file=config, process="origin")
    with Console(stderr=True).status("restoring"):
        manifest = maintenance.restore(settings, archive)
    print(f"{len(manifest.files)} files restored")
