"""Slices under random use: whatever is asked, whatever fails and whatever dies, every byte is of one version."""

import asyncio
import contextlib
import os
import random
import sys
from pathlib import Path

import pytest

from proxy.store import disk, sparse
from tests.support.nodes import Node, node
from tests.support.ranged import Ranged
from tests.support.upstream import Call, head, upstream
from tests.support.wire import Answer, CutOff, get
from tests.wire.test_17_workers import workers

SLICE = 64 * 1024
SIZE = 12 * SLICE + 777
STORE = {"slice": SLICE, "memory_object": 4096}
DAY = "public, max-age=86400"


class Moody:
    """An upstream that changes its object now and then, dies in answers and refuses some."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.versions: list[bytes] = []
        self.change()

    def change(self) -> None:
        """A new version."""
        self.versions.append(self.random.randbytes(SIZE))

    async def __call__(self, call: Call) -> None:
        mood = self.random.random()
        if mood < 0.05:
            await call.answer(b"no", 503)
        elif mood < 0.1:
            call.die()
        else:
            kind = _Dying if mood < 0.2 else Ranged
            await kind(self.versions[-1], {"ETag": f'"{len(self.versions)}"', "Cache_Control": DAY})(call)


class _Dying(Ranged):
    """Ends the connection in the body."""

    async def send(self, call: Call, status: int, data: bytes, more: dict[str, str]) -> None:
        """See Ranged."""
        await call.send(head(status, length=len(data), **(self.fields | more)) + data[: len(data) // 2])
        call.end()


def _wanted(rng: random.Random) -> dict[str, str]:
    start = rng.randrange(SIZE)
    end = min(SIZE - 1, start + rng.choice([10, SLICE, 5 * SLICE, SIZE]))
    odd = [{"Range": f"bytes={start}-"}, {"Range": "bytes=-900"}, {}]
    return rng.choice([{"Range": f"bytes={start}-{end}"}] * 6 + odd)


def _is_of_one_version(got: Answer, versions: list[bytes]) -> bool:
    if got.status == 200:
        return got.body in versions
    span = (got.field("Content-Range") or "").removeprefix("bytes ").partition("/")[0].split("-")
    first, last = int(span[0]), int(span[1])
    return any(body[first : last + 1] == got.body for body in versions)


@pytest.mark.parametrize("seed", range(4))
async def test_random_readers_of_two_workers_get_bytes_of_one_version(tmp_path: Path, seed: int) -> None:
    moody, rng = Moody(seed), random.Random(seed)
    whole = 0

    async def read(edge: Node) -> None:
        nonlocal whole
        with contextlib.suppress(CutOff):
            got = await edge.get("/a", **_wanted(rng))
            if got.status in (200, 206):
                assert _is_of_one_version(got, moody.versions)
                whole += 1
            else:
                assert got.status in (502, 503, 504)

    async with upstream(moody) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, _):
        for turn in range(15):
            await asyncio.gather(*(read((one, two)[n % 2]) for n in range(6)))
            if turn % 5 == 4:
                moody.change()
    assert whole > 30
    for path in tmp_path.glob("??/*"):
        found = disk.find(tmp_path, disk.read_meta(path).key)
        assert found is not None
        assert not found.layout.slice_size or not sparse.damaged(found)


NODE = (
    "import asyncio, sys\n"
    "from pathlib import Path\n"
    "from tests.support.nodes import node\n"
    "async def main():\n"
    f"    async with node(Path(sys.argv[1]), sys.argv[2], store={STORE!r}) as edge:\n"
    "        print(edge.port, flush=True)\n"
    "        await asyncio.Event().wait()\n"
    "asyncio.run(main())\n"
)


async def test_what_the_table_has_is_right_after_kill_9(tmp_path: Path) -> None:
    """A worker that is killed at a random moment of its runs leaves slices that are whole, or none."""
    rng, body = random.Random(1), os.urandom(SIZE)
    script = Ranged(body, {"ETag": '"v"', "Cache_Control": DAY})
    kept = 0
    async with upstream(script) as origin:
        for _ in range(5):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", NODE, str(tmp_path), origin.url, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            port = int(await process.stdout.readline())
            asked = [asyncio.create_task(_read(port, rng, body)) for _ in range(4)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            process.kill()
            await process.wait()
            await asyncio.gather(*asked)
            for path in tmp_path.glob("??/*"):
                found = disk.find(tmp_path, disk.read_meta(path).key)
                assert found is not None
                assert found.layout.slice_size
                assert not sparse.damaged(found)
                kept += 1
        async with node(tmp_path, origin.url, store=STORE) as edge:
            assert (await edge.get("/a")).body == body
            assert edge.count("store_foreign_total") == 0
    assert kept


async def _read(port: int, rng: random.Random, body: bytes) -> None:
    start = rng.randrange(SIZE - 10)
    with contextlib.suppress(CutOff, OSError):
        got = await get(port, "/a", Range=f"bytes={start}-{min(SIZE - 1, start + 3 * SLICE)}")
        assert got.body == body[start : start + 3 * SLICE + 1]
