"""The object store: content-addressed, whole or not at all."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from origin.assets import ObjectStore, Stored


async def test_bytes_and_files_are_one_object(store: ObjectStore, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "in").write_bytes(data)
    expected = Stored(hashlib.sha256(data).hexdigest(), len(data))
    assert await store.put_file(tmp_path / "in") == expected
    assert await store.put_bytes(data) == expected
    path = store.path_of(expected.digest)
    assert path == store.root / expected.digest[:2] / expected.digest
    assert path.read_bytes() == data
    assert await store.has(expected.digest)
    assert [p for p in store.root.rglob("*") if p.is_file()] == [path]


async def test_many_at_once(store: ObjectStore) -> None:
    stored = await asyncio.gather(*(store.put_bytes(b"same") for _ in range(20)), store.put_bytes(b""))
    assert len(set(stored)) == 2
    assert len([p for p in store.root.rglob("*") if p.is_file()]) == 2


async def test_a_failed_put_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put_file(tmp_path / "none")
    assert not any(p.is_file() for p in store.root.rglob("*"))
    assert not await store.has("0" * 64)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_digests_name_objects(store: ObjectStore, digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.path_of(digest)
