"""An object of 21 slices, and what the wire scripts of slices ask of it."""

import asyncio
import os
from pathlib import Path

from proxy.store import disk
from proxy.store.format import Layout
from tests.support.nodes import Node
from tests.support.ranged import Ranged
from tests.support.upstream import Call, Script, head
from tests.support.wire import Answer, until

K = 1024
SLICE = 64 * K
DAY = "public, max-age=86400"
BODY = os.urandom(20 * SLICE + 1000)
OTHER = os.urandom(len(BODY))
STORE = {"slice": SLICE, "memory_object": 4 * K}


def serving(body: bytes = BODY, tag: str = '"v1"', **fields: str) -> Ranged:
    """An upstream of that object."""
    return Ranged(body, {"ETag": tag, "Cache_Control": DAY, **fields})


def pausing(plain: Ranged, index: int, go: asyncio.Event, ready: int = 30_000) -> Script:
    """The script `plain`, but for a request for slice `index` of BODY: it gets `ready` bytes, and the rest after
    `go`."""
    held = BODY[index * SLICE : (index + 1) * SLICE]
    span = f"bytes {index * SLICE}-{index * SLICE + len(held) - 1}/{len(BODY)}"

    async def script(call: Call) -> None:
        if call.field("Range") != asked(index, index):
            await plain(call)
            return
        fields = {"Content_Range": span, "ETag": '"v1"', "Cache_Control": DAY}
        await call.send(head(206, length=len(held), **fields) + held[:ready])
        await go.wait()
        await call.send(held[ready:])

    return script


async def part(edge: Node, first: int, last: int, **fields: str) -> Answer:
    """Bytes `first` to `last` of /a."""
    return await edge.get("/a", Range=f"bytes={first}-{last}", **fields)


async def runs(edge: Node, ending: str, count: int) -> None:
    """Wait until so many runs ended so."""
    await until(lambda: edge.count("runs_total", ending) >= count, f"{count} runs {ending}")


def asked(first: int, last: int) -> str:
    """The Range field for slices `first` to `last` of BODY."""
    return f"bytes={first * SLICE}-{min((last + 1) * SLICE, len(BODY)) - 1}"


def layout(edge: Node) -> Layout:
    """That of the one file."""
    (path,) = edge.files()
    found = disk.find(edge.directory, disk.read_meta(path).key)
    assert found is not None
    return found.layout


def used(path: Path) -> int:
    """Bytes that a file takes on disk."""
    return path.stat().st_blocks * 512


def authority(url: str) -> str:
    """The authority in the keys of what comes from there."""
    return url.removeprefix("http://")
