"""The cache directory: full, failing, foreign, torn. Who keeps it within its bytes: test_09_keeper."""

import asyncio
import os
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.store import disk
from tests.support.nodes import Node, node
from tests.support.upstream import Call, head, says, upstream
from tests.support.wire import CutOff, until

DAY = "public, max-age=86400"
BIG = os.urandom(200_000)
SMALL = b"small" * 100


async def _fill(edge: Node, *targets: str) -> None:
    before = edge.count("fills_total", "filled")
    for target in targets:
        await edge.get(target)
    await edge.ended("filled", before + len(targets))


async def test_what_has_no_room_is_passed_through(tmp_path: Path) -> None:
    async with (
        upstream(says(BIG, Cache_Control=DAY)) as origin,
        node(tmp_path, origin.url, store={"disk": 1000}) as edge,
    ):
        for _ in range(2):
            assert (await edge.get("/a")).body == BIG
        assert (len(origin.calls), edge.files(), edge.parts()) == (2, [], [])


async def test_fills_under_way_have_their_place_reserved(tmp_path: Path) -> None:
    """Ten cold fills at once must not take ten times the disk."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(BIG), Cache_Control=DAY))
        await go.wait()
        await call.send(BIG)

    async with upstream(script) as origin, node(tmp_path, origin.url, store={"disk": 2 * len(BIG) - 1}) as edge:
        asked = [asyncio.create_task(edge.get(f"/{number}")) for number in range(10)]
        await origin.called(10)
        await until(lambda: edge.count("fills_total", "not_shared") == 9)
        assert edge.count("store_disk_bytes") <= 2 * len(BIG)
        go.set()
        assert {got.body for got in await asyncio.gather(*asked)} == {BIG}
        await edge.ended("filled")
        assert edge.count("store_disk_bytes") == edge.files()[0].stat().st_blocks * 512


@pytest.mark.parametrize("body", [SMALL, BIG], ids=["memory", "disk"])
async def test_a_directory_that_is_gone_is_no_fault_towards_viewers(tmp_path: Path, body: bytes) -> None:
    async with upstream(says(body, Cache_Control=DAY)) as origin, node(tmp_path / "cache", origin.url) as edge:
        await _fill(edge, "/before")
        shutil.rmtree(tmp_path / "cache")
        assert (await edge.get("/before")).body == body
        for _ in range(2):
            assert (await edge.get("/a")).body == body
        await until(lambda: edge.count("store_errors_total") > 0, "the error is counted")


async def test_a_disk_that_refuses_to_write_serves_on(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes every write past it fail, in a process of its own."""
    script = (
        "import asyncio, resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.support.nodes import node\n"
        "from tests.support.upstream import says, upstream\n"
        "async def main():\n"
        "    body = b'x' * 200_000\n"
        "    async with upstream(says(body, Cache_Control='max-age=100')) as origin:\n"
        "        async with node(Path(sys.argv[1]), origin.url) as edge:\n"
        "            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "            for target in ('/a', '/a', '/b'):\n"
        "                assert (await edge.get(target)).body == body\n"
        "            assert edge.count('store_errors_total') >= 2\n"
        "            assert not edge.parts() and not edge.files()\n"
        "            assert edge.count('store_disk_bytes') == 0\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    path.write_bytes(b"not of ours" * 100)


def _half_head(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _flip(at: int) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    flip.__name__ = f"flip_{at}"
    return flip


def _incomplete(path: Path) -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into(">H", data, 4, 0)
    path.write_bytes(data)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    target = path.with_suffix(".moved")
    path.rename(target)
    path.symlink_to(target)


DAMAGE = [_truncate, _lengthen, _empty, _foreign, _half_head, _flip(0), _flip(70), _flip(100), _incomplete]


@pytest.mark.parametrize("damage", [*DAMAGE, _directory, _pipe, _link], ids=lambda each: each.__name__)
async def test_a_file_that_is_not_whole_and_ours_is_a_miss(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    async with upstream(says(BIG, Cache_Control=DAY)) as origin:
        async with node(tmp_path, origin.url) as edge:
            await _fill(edge, "/a")
            (path,) = edge.files()
        damage(path)
        async with node(tmp_path, origin.url) as again:
            got = await again.get("/a")
            assert (got.status, got.body, got.cache.split("; ")[1]) == (200, BIG, "fwd=uri-miss")
            assert again.count("store_foreign_total") + again.count("store_errors_total") >= 1
            await until(lambda: not again.parts())
            assert (await again.get("/a")).body == BIG


async def test_a_small_body_that_rotted_is_a_miss(tmp_path: Path) -> None:
    async with upstream(says(SMALL, Cache_Control=DAY)) as origin:
        async with node(tmp_path, origin.url) as edge:
            await _fill(edge, "/a")
            (path,) = edge.files()
        _flip(-1)(path)
        async with node(tmp_path, origin.url) as again:
            assert (await again.get("/a")).body == SMALL
            assert again.count("store_foreign_total") == 1


async def test_another_answers_file_under_this_name_is_a_miss(tmp_path: Path) -> None:
    """A name that was moved or collides never serves another object's bytes."""
    async with upstream(says(BIG, Cache_Control=DAY)) as origin:
        async with node(tmp_path, origin.url) as edge:
            await _fill(edge, "/a")
            (path,) = edge.files()
            authority = origin.url.removeprefix("http://")
        other = disk.path_of(tmp_path, f"{authority}/b")
        other.parent.mkdir(exist_ok=True)
        path.rename(other)
        async with node(tmp_path, origin.url) as again:
            assert "fwd=uri-miss" in (await again.get("/b")).cache


async def test_a_file_cut_while_it_is_open_cuts_one_viewer_and_is_a_miss_for_the_next(tmp_path: Path) -> None:
    async with upstream(says(BIG, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        await _fill(edge, "/a")
        os.truncate(edge.files()[0], 100_000)
        with pytest.raises(CutOff):
            await edge.get("/a")
        assert (await edge.get("/a")).body == BIG
        assert len(origin.calls) == 2


async def test_memory_is_bounded_and_what_falls_out_is_read_from_disk(tmp_path: Path) -> None:
    async with (
        upstream(says(b"x" * 10_000, Cache_Control=DAY)) as origin,
        node(tmp_path, origin.url, store={"memory": 55_000}) as edge,
    ):
        await _fill(edge, *(f"/{number}" for number in range(20)))
        assert edge.count("store_memory_bytes") == 50_000
        assert all(["; hit" in (await edge.get(f"/{number}")).cache for number in range(20)])
        assert edge.count("store_memory_bytes") == 50_000
