"""The command, its table and its line."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headrace.client import Running
from headrace.doctor import single, title
from kit.errors import SettingsError


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("doctor")(doctor)


def doctor(
    at: Annotated[Path | None, typer.Option(help="The installation's run.json.")] = None,
    content: Annotated[str | None, typer.Option(help="Title to play; default: the installation's first.")] = None,
    edge: Annotated[str | None, typer.Option(help="A standalone edge instead: its URL.")] = None,
    path: Annotated[str | None, typer.Option(help="With --edge: the path to ask for.")] = None,
    origin: Annotated[str | None, typer.Option(help="With --edge: the origin to compare with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Only the JSON line.")] = False,
) -> None:
    """Play a title through the edge as a client would and compare every byte with what origin stored.

    Prints a table and one JSON line; exit code 1 on any difference.

    Example: headrace doctor · headrace doctor --edge http://127.0.0.1:8080 --path /film/seg1.m4s
    """
    if bool(edge) != bool(path):
        raise SettingsError("--edge and --path go together")
    console = Console(stderr=True, quiet=as_json)
    with console.status("examining"):
        table, line = _standalone(edge, path, origin) if edge and path else _installation(at, content)
    console.print(table)
    for finding in line["findings"]:
        console.print(f"[red]✗[/] {finding}")
    print(json.dumps(line), flush=True)
    if not line["ok"]:
        sys.exit(1)


def _installation(at: Path | None, content: str | None) -> tuple[Table, dict[str, Any]]:
    running = Running.read(at)
    result = asyncio.run(title.examine(running.line["origin"], running.token, content or running.line["contentId"]))
    table = Table(title=f"{result.content_id} {result.version} through {result.edge}")
    for heading in ("kind", "files", "bytes", "edge hits", "slowest ms"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for kind in sorted(result.files):
        count, size, hits = result.files[kind], result.bytes[kind], result.hits[kind]
        table.add_row(kind, str(count), f"{size:,}", str(hits), f"{result.slowest[kind] * 1000:.1f}")
    return table, result.as_json()


def _standalone(edge: str, path: str, origin: str | None) -> tuple[Table, dict[str, Any]]:
    checks = asyncio.run(single.examine(edge.rstrip("/"), path, origin.rstrip("/") if origin else None))
    table = Table(title=f"{edge}{path}")
    for heading in ("check", "result", "seen"):
        table.add_column(heading)
    words = {True: "[green]ok[/]", False: "[red]no[/]", None: "not asked"}
    for check in checks:
        table.add_row(check.name, words[check.ok], check.seen)
    return table, single.as_json(checks, edge, path)
