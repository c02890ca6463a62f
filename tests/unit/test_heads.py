"""The head of a cache file has three writers: new metadata (304), the keeper's slot, the end of the last slice."""

import threading
from collections.abc import Callable
from pathlib import Path

from proxy.rules.meta import Meta
from proxy.store import disk, sparse
from proxy.store.sparse import SparseFile

META = Meta("a/b", 200, (("ETag", '"v"'),), 1.0, 1.0)
ROUNDS = 3_000


def _sliced(directory: Path) -> SparseFile:
    disk.prepare(directory)
    made = sparse.create(directory, META, 4096, 4096, lambda: True)
    assert made is not None
    return made.file


def _while_rewriting(directory: Path, file: SparseFile, work: Callable[[], None]) -> None:
    """Do `work` while another thread writes new metadata again and again."""
    over = threading.Event()

    def rewrite() -> None:
        while not over.is_set():
            assert disk.rewrite(directory, file.layout, META)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        work()
    finally:
        over.set()
        writer.join()


def test_new_metadata_does_not_take_a_slot_away(tmp_path: Path) -> None:
    file, path = _sliced(tmp_path), disk.path_of(tmp_path, META.key)

    def give_slots() -> None:
        for slot in range(1, ROUNDS):
            disk.write_slot(path, slot)
            assert disk.read_slot(path) == slot

    _while_rewriting(tmp_path, file, give_slots)


def test_new_metadata_does_not_take_completeness_away(tmp_path: Path) -> None:
    for number in range(ROUNDS // 100):
        directory = tmp_path / str(number)
        file = _sliced(directory)
        _while_rewriting(directory, file, lambda file=file: sparse.complete(file))  # type: ignore[misc]
        found = disk.find(directory, META.key)
        assert found is not None
        assert found.layout.complete
