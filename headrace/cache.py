"""Commands on a node's cache directories: ls, stat, verify (offline); and the purge of one running node."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from kit.errors import HeadraceError, SettingsError
from proxy.store import inspect
from proxy.store.index import Index
from proxy.store.inspect import Listed, NoStore

cache = typer.Typer(help="A node's cache directories, read offline: ls, stat, verify.", no_args_is_help=True)
Directories = Annotated[list[Path], typer.Argument(help="The node's cache directory, or several of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


class PurgeFailed(HeadraceError):
    """A node did not do what was asked; the message is its own."""

    kind = "purge_failed"


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(cache, name="cache")


@cache.command("ls")
def ls(
    directories: Directories,
    prefix: Annotated[str, typer.Option(help="Only keys that begin so.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List objects: key, size, age, what is left of freshness, tags. A running node may be looked at.

    Example: headrace cache ls /var/cache/headrace --prefix origin:8001/content/film/
    """
    rows = (row for row in _objects(directories) if row.key.startswith(prefix))
    shown = list(islice(rows, limit))
    if as_json:
        for row in shown:
            print(json.dumps({name: getattr(row, name) for name in ("key", "variant", "size", "age", "left", "tags")}))
        return
    table = Table("key", "variant", "size", "age s", "fresh for s", "tags")
    for row in shown:
        table.add_row(row.key, row.variant, f"{row.size:,}", f"{row.age:.0f}", f"{row.left:.0f}", " ".join(row.tags))
    Console(markup=False).print(table)


def _objects(directories: list[Path]) -> Iterator[Listed]:
    for directory in directories:
        with contextlib.closing(_open(directory)) as index:
            yield from inspect.objects(directory, index, time.time())


@cache.command("stat")
def stat(
    directories: Directories,
    by: Annotated[Literal["tag", "tenant"], typer.Option(help="Whose objects and bytes are listed.")] = "tag",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows at most, the largest first.")] = 10,
    as_json: AsJson = False,
) -> None:
    """The store in figures: objects, bytes, fills under way, the largest tags or tenants. Does not read the objects.

    Example: headrace cache stat /disk1/headrace /disk2/headrace --by tenant
    """
    found = inspect.Totals()
    for directory in directories:
        with contextlib.closing(_open(directory)) as index:
            found.add(inspect.totals(directory, index, by))
    largest = found.largest(limit)
    line: dict[str, Any] = {"objects": found.objects, "bytes": found.bytes, "growing": found.growing}
    line[f"{by}s"] = [{by: each.name, "objects": each.objects, "bytes": each.bytes} for each in largest]
    if as_json:
        print(json.dumps(line))
        return
    console = Console()
    console.print(f"{found.objects:,} objects, {found.bytes:,} bytes; {found.growing:,} bytes being filled")
    table = Table(by, "objects", "bytes")
    for each in largest:
        table.add_row(each.name, f"{each.objects:,}", f"{each.bytes:,}")
    console.print(table)


@cache.command("verify")
def verify(directories: Directories, as_json: AsJson = False) -> None:
    """Read every byte: bodies against their digests, files against the index. Exit code 1 on any finding.

    Example: headrace cache verify /var/cache/headrace
    """
    whole = inspect.Verified()
    with Console(stderr=True, quiet=as_json).status("reading") as status:
        for directory in directories:
            result = inspect.Verified()
            with contextlib.closing(_open(directory)) as index:
                for result in inspect.verify(directory, index):
                    status.update(f"reading: {whole.files + result.files:,} files")
            whole.add(result)
    line = {"ok": not whole.findings, "files": whole.files, "bytes": whole.bytes, "findings": whole.findings}
    print(json.dumps(line))
    if whole.findings:
        sys.exit(1)


def purge_node(node: str, token_file: Path, document: dict[str, Any]) -> None:
    """Purge on one node by its own admin address; prints what it did as one JSON line. PurgeFailed, SettingsError."""
    try:
        token = token_file.read_text().strip()
    except OSError as error:
        raise SettingsError(f"--token-file: {error}") from None
    print(json.dumps(asyncio.run(_purge(node.rstrip("/"), token, document))))


async def _purge(node: str, token: str, document: dict[str, Any]) -> Any:
    timeout = aiohttp.ClientTimeout(total=90, sock_connect=3)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.post(f"{node}/purge", json=document) as response,
        ):
            answer = await response.json()
    except (TimeoutError, ValueError, aiohttp.ClientError, OSError) as error:
        raise PurgeFailed(f"{node}: {error or type(error).__name__}") from None
    if response.status != 200:
        raise PurgeFailed(f"{node}: {answer.get('message') or answer.get('error')}")
    return answer


def _open(directory: Path) -> Index:
    try:
        return inspect.opened(directory)
    except NoStore as error:
        raise SettingsError(str(error)) from None
