"""What a keeper knows of its directory, where its index or its journal cannot be written (issue 3 part 4)."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest

from edge.admit.open import OpenTier
from kit.metrics import Board
from proxy.host.worker import families
from proxy.store import disk, journal
from proxy.store.evict import Sieve
from proxy.store.index import Index
from proxy.store.inventory import Inventory, Policy
from proxy.store.volumes import Volume


@contextmanager
def _files_end_at(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _stored(directory: Path, key: str, size: int) -> None:
    path = disk.path_of(directory, key)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    journal.append(directory, "stored", key, ("t",))


def _inventory(directory: Path, board: Board) -> Inventory:
    return Inventory(Volume(0, directory, 2**30, board, board.row(0)), Sieve(10), Policy())


def test_what_the_index_refused_counts_once(tmp_path: Path) -> None:
    """A full disk refuses the index: tried again and again, an object takes one slot and its bytes once."""
    board = Board(families(OpenTier.reasons), 1)
    disk.prepare(tmp_path)
    index = Index(tmp_path)
    inventory = _inventory(tmp_path, board)
    _stored(tmp_path, "a/old", 5_000)
    assert list(inventory.read_journal(index)) == []
    _stored(tmp_path, "a/old", 9_000)
    _stored(tmp_path, "a/new", 5_000)
    index.close()
    refusing = Index(tmp_path, read_only=True)
    for _ in range(3):
        with pytest.raises(lmdb.Error):
            list(inventory.read_journal(refusing))
        assert (len(inventory), inventory.total, len(inventory.slots)) == (1, 8_192, 2)
    refusing.close()
    index = Index(tmp_path)
    assert list(inventory.read_journal(index)) == []
    assert (len(inventory), inventory.total, len(inventory.slots)) == (2, 12_288 + 8_192, 2)
    index.close()
    board.close()


def test_a_victim_that_the_index_kept_goes_another_time(tmp_path: Path) -> None:
    board = Board(families(OpenTier.reasons), 1)
    disk.prepare(tmp_path)
    index = Index(tmp_path)
    inventory = _inventory(tmp_path, board)
    _stored(tmp_path, "a/b", 5_000)
    assert list(inventory.read_journal(index)) == []
    row = inventory.victim(index)
    assert row is not None
    index.close()
    refusing = Index(tmp_path, read_only=True)
    with pytest.raises(lmdb.Error):
        inventory.drop(refusing, [row], ordered=False)
    refusing.close()
    index = Index(tmp_path)
    assert inventory.victim(index) == row
    inventory.drop(index, [row], ordered=False)
    assert (len(inventory), inventory.total, index.count()) == (0, 0, 0)
    index.close()
    board.close()


def test_an_event_that_does_not_fit_leaves_the_others_alone(tmp_path: Path) -> None:
    """A disk that is full takes the beginning of a line: no later event may be lost in it."""
    journal.append(tmp_path, "stored", "a/before")
    with _files_end_at((tmp_path / journal.FILE).stat().st_size + 10), pytest.raises(OSError, match="space"):
        journal.append(tmp_path, "stored", "a/refused")
    journal.append(tmp_path, "stored", "a/after")
    assert journal.take(tmp_path)
    assert [event.key for event in journal.taken(tmp_path)] == ["a/before", "a/after"]
