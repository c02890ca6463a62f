"""Several cache directories on one node, and what happens when the disk of one fails (issue 3 part 3)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from kit.clock import ManualClock
from kit.metrics import Board
from proxy.host.worker import families
from proxy.store import disk, outage
from proxy.store.evict import Sieve
from proxy.store.keeper import Keeper
from proxy.store.keepers import Keepers
from proxy.store.purge import Purge
from proxy.store.volumes import Volume, Volumes
from tests.support.nodes import Node, node
from tests.support.upstream import Upstream, says, upstream
from tests.support.wire import until

BIG = b"x" * 100_000
DAY = "max-age=86400"
SLOTS = 100
TARGETS = [f"/{number}" for number in range(12)]


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "one", tmp_path / "two"


@contextlib.contextmanager
def keeping(places: tuple[Path, ...], board: Board, clock: ManualClock, limit: int = 2**26) -> Iterator[Keepers]:
    """The keepers of all directories, running and knowing all that is there."""
    made = []
    for number in range(len(places)):
        row = board.row(1 + number)
        volumes = [Volume(each, place, limit, board, row) for each, place in enumerate(places)]
        with contextlib.suppress(OSError):
            disk.prepare(places[number])
        made.append(Keeper(volumes[number], Volumes(volumes), SLOTS, Sieve(SLOTS), row, clock))
    keepers = Keepers(made)
    keepers.start()
    for keeper in made:
        assert keeper.loaded.wait(10)
    try:
        yield keepers
    finally:
        keepers.close()


def _board(count: int) -> Board:
    return Board(families(OpenTier.reasons, count), 1 + count)


def _out(board: Board) -> list[str]:
    return [number for number in ("0", "1") if board.total("headrace_store_volume_out", number)]


def _homes(place: Path, origin: Upstream) -> set[str]:
    """The targets whose files lie there."""
    authority = origin.url.removeprefix("http://")
    return {target for target in TARGETS if disk.path_of(place, authority + target).exists()}


def _at_home(place: Path, places: tuple[Path, ...], origin: Upstream) -> set[str]:
    """The targets whose home it is while all are well."""
    board = _board(len(places))
    volumes = Volumes([Volume(each, folder, 0, board, board.row(0)) for each, folder in enumerate(places)])
    authority = origin.url.removeprefix("http://")
    homes = {target: volumes.home(authority + target) for target in TARGETS}
    return {target for target, home in homes.items() if home is not None and home.directory == place}


async def _fill(edge: Node, *targets: str) -> None:
    for target in targets:
        before = edge.count("fills_total", "filled")
        assert (await edge.get(target)).body == BIG
        await edge.ended("filled", before + 1)


@contextlib.contextmanager
def lost(place: Path, *, back: bool = True) -> Iterator[None]:
    """A mount that is gone: whatever is asked of the directory fails. At the end it is there as it was."""
    kept = place.with_suffix(".lost")
    place.rename(kept)
    place.write_bytes(b"")
    yield
    if back:
        place.unlink()
        kept.rename(place)


async def _ejected(board: Board, number: str) -> None:
    await until(lambda: _out(board) == [number], "the directory is ejected")


async def _taken_back(board: Board, clock: ManualClock) -> None:
    clock.advance(outage.PROBE_EVERY_S + 1)
    await until(lambda: not _out(board), "the directory is taken back")


async def test_losing_a_directory_moves_only_its_keys(places: tuple[Path, Path], clock: ManualClock) -> None:
    board = _board(2)
    async with upstream(says(BIG, Cache_Control=DAY, Surrogate_Key="t")) as origin:
        with keeping(places, board, clock) as keepers:
            store = {"cache_dir": list(places)}
            async with node(places[0], origin.url, board=board, clock=clock, store=store) as edge:
                await _fill(edge, *TARGETS)
                one, two = _homes(places[0], origin), _homes(places[1], origin)
                assert one | two == set(TARGETS)
                assert one
                assert two
                assert not one & two
                with lost(places[1]):
                    await _ejected(board, "1")
                    for target in sorted(one):
                        assert "; hit" in (await edge.get(target)).cache
                    for target in sorted(two):
                        assert "fwd=uri-miss" in (await edge.get(target)).cache
                    await edge.ended("filled", len(TARGETS) + len(two))
                    for target in TARGETS:
                        assert "; hit" in (await edge.get(target)).cache
                    assert _homes(places[0], origin) == set(TARGETS)
                    assert (await keepers.purge(Purge("tag", "t"))).objects == len(TARGETS)
                await _taken_back(board, clock)
                assert _homes(places[1], origin) == set(), "what missed a purge is not there to be served"
                await _fill(edge, *TARGETS)
                assert (_homes(places[0], origin), _homes(places[1], origin)) == (one, two)
                assert (await keepers.purge(Purge("prefix", ""))).objects == len(TARGETS)


async def test_what_was_stored_elsewhere_meanwhile_goes_when_its_home_is_back(
    places: tuple[Path, Path], clock: ManualClock
) -> None:
    """Else it would be found again, old, at the next outage."""
    board = _board(2)
    async with upstream(says(BIG, Cache_Control=DAY)) as origin:
        with keeping(places, board, clock):
            store = {"cache_dir": list(places)}
            async with node(places[0], origin.url, board=board, clock=clock, store=store) as edge:
                with lost(places[1]):
                    await _ejected(board, "1")
                    await _fill(edge, *TARGETS)
                await _taken_back(board, clock)
                left = _at_home(places[0], places, origin)
                await until(lambda: _homes(places[0], origin) == left, "strays go")
                for target in TARGETS:
                    assert ("; hit" in (await edge.get(target)).cache) is (target in left)
                await edge.ended("filled", 2 * len(TARGETS) - len(left))
                lying = sum(path.stat().st_blocks * 512 for path in edge.files())
                await until(lambda: edge.count("store_disk_bytes") == lying, "the counters agree with the directories")


async def test_a_later_life_does_not_believe_what_was_out(places: tuple[Path, Path], clock: ManualClock) -> None:
    """A purge is not undone by a disk that was away while the node ended."""
    async with upstream(says(BIG, Cache_Control=DAY, Surrogate_Key="t")) as origin:
        board = _board(2)
        store = {"cache_dir": list(places)}
        async with node(places[0], origin.url, board=board, clock=clock, store=store) as edge:
            with keeping(places, board, clock) as keepers:
                await _fill(edge, *TARGETS)
                gone = lost(places[1])
                gone.__enter__()
                await _ejected(board, "1")
                await keepers.purge(Purge("tag", "t"))
            gone.__exit__(None, None, None)
            assert _homes(places[1], origin)
            with keeping(places, board, clock):
                assert _out(board) == ["1"]
                await _taken_back(board, clock)
                for target in TARGETS:
                    assert "fwd=uri-miss" in (await edge.get(target)).cache
            with keeping(places, board, clock):
                assert _out(board) == [], "it is forgiven"


async def test_with_every_directory_out_answers_pass_through(tmp_path: Path, clock: ManualClock) -> None:
    place, board = tmp_path / "only", _board(1)
    async with upstream(says(BIG, Cache_Control=DAY)) as origin:
        with keeping((place,), board, clock) as keepers:
            async with node(place, origin.url, board=board, clock=clock) as edge:
                await _fill(edge, "/0")
                with lost(place):
                    await until(lambda: board.total("headrace_store_volume_out", "0"), "ejected")
                    for _ in range(2):
                        assert (await edge.get("/0")).body == BIG
                    assert len(origin.calls) == 3
                    assert edge.count("fills_total", "not_shared") == 2
                    with pytest.raises(OSError, match="no disk takes a note"):
                        await keepers.purge(Purge("prefix", ""))
                clock.advance(outage.PROBE_EVERY_S + 1)
                await until(lambda: not board.total("headrace_store_volume_out", "0"), "taken back")
                await _fill(edge, "/0")
                assert "; hit" in (await edge.get("/0")).cache


async def test_a_directory_that_a_later_configuration_adds_gets_its_keys(
    places: tuple[Path, Path], clock: ManualClock
) -> None:
    async with upstream(says(BIG, Cache_Control=DAY)) as origin:
        board = _board(1)
        async with node(places[0], origin.url, board=board, clock=clock) as edge:
            with keeping(places[:1], board, clock):
                await _fill(edge, *TARGETS)
        board = _board(2)
        with keeping(places, board, clock):
            left = _at_home(places[0], places, origin)
            await until(lambda: _homes(places[0], origin) == left, "those at home elsewhere go")
            store = {"cache_dir": list(places)}
            async with node(places[0], origin.url, board=board, clock=clock, store=store) as edge:
                for target in sorted(left):
                    assert "; hit" in (await edge.get(target)).cache
