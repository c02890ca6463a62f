"""Part files: the keeper removes those of dead writers, and no other."""

import threading
from pathlib import Path

from proxy.rules.meta import Meta
from proxy.store import disk
from proxy.store.directory import remove_orphans

META = Meta("a/b", 200, (), 1.0, 1.0)
WRITERS, PARTS = 3, 1_500


def test_a_part_that_was_just_begun_is_nobodys_orphan(tmp_path: Path) -> None:
    """The keeper may look between a part's birth and its lock."""
    disk.prepare(tmp_path)
    lost: list[str] = []

    def write() -> None:
        for _ in range(PARTS):
            try:
                part = disk.start_part(tmp_path, META, 1_000)
            except OSError as error:
                lost.append(str(error))
                continue
            if not part.path.exists():
                lost.append("removed")
            disk.discard(part)

    writers = [threading.Thread(target=write) for _ in range(WRITERS)]
    for each in writers:
        each.start()
    while any(each.is_alive() for each in writers):
        remove_orphans(tmp_path / "parts")
    assert lost == []
