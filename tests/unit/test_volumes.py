"""Homes, failures, counters: the rules of several cache directories."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from configs.schema.node import StoreSettings
from edge.admit.open import OpenTier
from kit.metrics import Board
from proxy.host.worker import families
from proxy.rules.variants import MARK
from proxy.store.ledger import Ledger
from proxy.store.outage import MOST, Failures
from proxy.store.volumes import Volume, Volumes, failing

KEYS = [f"origin/{number}" for number in range(2_000)]


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board(families(OpenTier.reasons, 4), 2)
    yield made
    made.close()


def _volumes(board: Board, limit: int = 1000, row: int = 0) -> Volumes:
    return Volumes([Volume(each, Path(f"/disk{each}"), limit, board, board.row(row)) for each in range(4)])


def test_a_directory_out_moves_its_keys_to_the_others_and_no_other_key(board: Board) -> None:
    volumes = _volumes(board)
    before = {key: volumes.home(key) for key in KEYS}
    lost = list(volumes)[2]
    lost.set_out(True)
    after = {key: volumes.home(key) for key in KEYS}
    assert {key for key in KEYS if before[key] is not after[key]} == {key for key in KEYS if before[key] is lost}
    assert len({after[key] for key in KEYS if before[key] is lost}) == 3
    for each in volumes:
        assert 400 < sum(home is each for home in before.values()) < 600
        each.set_out(True)
    assert volumes.home("x") is None


def test_variants_live_where_their_key_does(board: Board) -> None:
    volumes = _volumes(board)
    assert all(volumes.home(key) is volumes.home(f"{key}{MARK}abc") for key in KEYS)


def test_room_is_taken_before_it_is_looked_for(board: Board) -> None:
    """Two workers, each with a view of its own: together they never have more than the limit."""
    (one, *_), (two, *_) = _volumes(board), _volumes(board, row=1)
    assert one.take(600)
    assert not two.take(500)
    assert two.take(400)
    assert (one.used, two.used) == (1000, 1000)
    two.set_index(10)
    assert not one.take(0)


@pytest.mark.parametrize(
    ("error", "sick"),
    [
        (OSError(errno.EIO, ""), True),
        (OSError(errno.EROFS, ""), True),
        (FileNotFoundError(errno.ENOENT, ""), True),
        (OSError(errno.ENOSPC, ""), False),
        (OSError(errno.EDQUOT, ""), False),
        (OSError(errno.EMFILE, ""), False),
        (IsADirectoryError(errno.EISDIR, ""), False),
        (OSError("a cache file ended early"), False),
        (lmdb.CorruptedError(""), True),
        (lmdb.DiskError(""), False),
    ],
    ids=repr,
)
def test_which_errors_speak_against_the_disk(board: Board, error: Exception, sick: bool) -> None:
    """A full disk, too many descriptors or one strange file must not cost a node its cache."""
    assert failing(error) is sick
    volume = next(iter(_volumes(board)))
    volume.failed(error)
    assert volume.failures == (int(sick), int(isinstance(error, OSError) and error.errno == errno.EROFS))


def test_so_many_failures_within_so_long_are_too_many() -> None:
    failures = Failures()
    failures.reset(100)
    assert not failures.too_many(100 + MOST - 1, 0.0)
    assert not failures.too_many(100 + MOST, 10.5), "the first ones are too long ago"
    assert not failures.too_many(100 + 2 * MOST - 2, 11.0)
    assert failures.too_many(100 + 2 * MOST - 1, 12.0)


def test_what_nobody_owns_is_taken_off_after_a_minute() -> None:
    ledger = Ledger()
    taken = [ledger.nobodys(500 if second % 7 else 900, float(second)) for second in range(58)]
    assert taken[:57] == [0] * 57
    assert taken[57] == 500
    assert ledger.nobodys(0, 58.0) == 0


def test_a_moment_s_difference_changes_nothing_and_a_lasting_lack_is_added() -> None:
    ledger = Ledger()
    assert [ledger.nobodys(excess, float(second)) for second, excess in enumerate([0, -9, 0, 5, -9, -7, -8])] == [0] * 7
    assert ledger.nobodys(-9, 7.0) == -7


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ("/a", ["/a"]),
        ("/a, /b", ["/a", "/b"]),
        (["/a", "/b,c"], ["/a", "/b,c"]),
        (Path("/a,b"), ["/a,b"]),
    ],
)
def test_one_directory_or_several(given: object, places: list[str]) -> None:
    assert [os.fspath(each) for each in StoreSettings.model_validate({"cache_dir": given}).cache_dir] == places


@pytest.mark.parametrize("given", ["", "/a,", [], ["/a", "/b/../a"], [f"/{number}" for number in range(9)]])
def test_directories_that_make_no_sense(given: object) -> None:
    with pytest.raises(ValueError, match="cache_dir"):
        StoreSettings.model_validate({"cache_dir": given})
