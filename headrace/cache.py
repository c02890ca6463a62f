"""Commands on a node's cache: ls, stat, verify (its directory, offline), purge (a running node)."""

import asyncio
import json
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from kit.errors import HeadraceError, SettingsError
from proxy.store import inspect
from proxy.store.index import Index
from proxy.store.inspect import NoStore

cache = typer.Typer(help="A node's cache directory, read offline: ls, stat, verify.", no_args_is_help=True)
Directory = Annotated[Path, typer.Argument(help="The node's cache directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


class PurgeFailed(HeadraceError):
    """A node did not do what was asked; the message is its own."""

    kind = "purge_failed"


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(cache, name="cache")
    app.command("purge")(purge)


@cache.command("ls")
def ls(
    directory: Directory,
    prefix: Annotated[str, typer.Option(help="Only keys that begin so.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List objects: key, size, age, what is left of freshness, tags. A running node may be looked at.

    Example: headrace cache ls /var/cache/headrace --prefix origin:8001/content/film/
    """
    index = _open(directory)
    rows = (row for row in inspect.objects(directory, index, time.time()) if row.key.startswith(prefix))
    shown = list(islice(rows, limit))
    index.close()
    if as_json:
        for row in shown:
            print(json.dumps({name: getattr(row, name) for name in ("key", "variant", "size", "age", "left", "tags")}))
        return
    table = Table("key", "variant", "size", "age s", "fresh for s", "tags")
    for row in shown:
        table.add_row(row.key, row.variant, f"{row.size:,}", f"{row.age:.0f}", f"{row.left:.0f}", " ".join(row.tags))
    Console().print(table)


@cache.command("stat")
def stat(directory: Directory, as_json: AsJson = False) -> None:
    """The store in figures: objects, bytes, fills under way, the largest tags.

    Example: headrace cache stat /var/cache/headrace
    """
    index = _open(directory)
    found = inspect.totals(directory, index)
    index.close()
    line: dict[str, Any] = {"objects": found.objects, "bytes": found.bytes, "growing": found.growing}
    line["tags"] = [{"tag": tag, "objects": count, "bytes": size} for tag, count, size in found.tags]
    if as_json:
        print(json.dumps(line))
        return
    console = Console()
    console.print(f"{found.objects:,} objects, {found.bytes:,} bytes; {found.growing:,} bytes being filled")
    table = Table("tag", "objects", "bytes")
    for tag, count, size in found.tags:
        table.add_row(tag, f"{count:,}", f"{size:,}")
    console.print(table)


@cache.command("verify")
def verify(directory: Directory, as_json: AsJson = False) -> None:
    """Read every byte: bodies against their digests, files against the index. Exit code 1 on any finding.

    Example: headrace cache verify /var/cache/headrace
    """
    index = _open(directory)
    result = inspect.Verified()
    with Console(stderr=True, quiet=as_json).status("reading") as status:
        for result in inspect.verify(directory, index):
            status.update(f"reading: {result.files:,} files, {result.bytes:,} bytes")
    index.close()
    line = {"ok": not result.findings, "files": result.files, "bytes": result.bytes, "findings": result.findings}
    print(json.dumps(line))
    if result.findings:
        sys.exit(1)


def purge(
    node: Annotated[str, typer.Option(help="The node's admin address, as http://127.0.0.1:9301.")],
    token_file: Annotated[Path, typer.Option(help="File with the operators' bearer token.")],
    url: Annotated[str | None, typer.Option(help="A path with its query, as it is asked upstream.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Everything whose path begins so.")] = None,
    tag: Annotated[str | None, typer.Option(help="Everything that carries this tag.")] = None,
    soft: Annotated[bool, typer.Option("--soft", help="Make stale instead of removing.")] = False,
) -> None:
    """Purge on one node, by URL, prefix or tag; prints what it did as one JSON line.

    Example: headrace purge --node http://127.0.0.1:9301 --token-file operator.token --tag title:film --soft
    """
    named = {name: text for name, text in (("url", url), ("prefix", prefix), ("tag", tag)) if text is not None}
    if len(named) != 1:
        raise SettingsError("give exactly one of --url, --prefix, --tag")
    try:
        token = token_file.read_text().strip()
    except OSError as error:
        raise SettingsError(f"--token-file: {error}") from None
    print(json.dumps(asyncio.run(_purge(node.rstrip("/"), token, {**named, "soft": soft}))))


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
