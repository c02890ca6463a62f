"""Backup and restore (ORG-09, T-036): the objects are in it, every byte is checked, whole or not at all."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.schema.origin import OriginSettings
from kit.errors import BadRequest, Conflict, HeadraceError
from origin.app import maintenance
from origin.app.archive import MANIFEST
from origin.catalog.engine import default_url
from origin.catalog.models import Published
from origin.catalog.service import Catalog
from tests.origin import installation
from tests.support import databases


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The database that is backed up, and an empty one."""
    if request.param == "sqlite":
        yield default_url(str(tmp_path / "old/state")), default_url(str(tmp_path / "new/state"))
        return
    server: databases.Postgres = request.getfixturevalue("postgres")
    with server.database() as old, server.database() as new:
        yield old, new


def empty(home: Path, url: str) -> OriginSettings:
    """Settings of an installation where nothing is yet."""
    made = installation.settings(home / "unused")
    identity = {"id": "origin-1", "credential": home / "node.json"}
    places = {"state_dir": home / "state", "keys_dir": home / "keys", "database_url": url}
    return OriginSettings.model_validate(made.model_dump() | places | {"identity": identity})


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


async def published(url: str) -> Published | None:
    """What viewers would get of the title."""
    catalog = Catalog.open(url)
    try:
        return await catalog.published("bbb", "v1")
    finally:
        await catalog.close()


async def test_t_036_a_round_trip_brings_everything_back(tmp_path: Path, urls: tuple[str, str]) -> None:
    old = installation.settings(tmp_path / "old", database_url=urls[0])
    await installation.prepare(old, urls[0])
    manifest = maintenance.backup(old, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert manifest.size == sum(entry.size for entry in manifest.files) > 0
    new = empty(tmp_path / "new", urls[1])
    assert maintenance.restore(new, tmp_path / "b.tar") == manifest
    assert await published(urls[1]) == await published(urls[0]) is not None
    assert tree(new.state_dir / "objects") == tree(old.state_dir / "objects")
    assert tree(new.keys_dir) == tree(old.keys_dir)
    assert new.identity.credential.read_bytes() == old.identity.credential.read_bytes()
    assert new.identity.credential.stat().st_mode & 0o777 == 0o600
    assert not [p for p in new.state_dir.iterdir() if p.name.startswith(".restore")]
    maintenance.migrate(new)
    with pytest.raises(Conflict):
        maintenance.restore(new, tmp_path / "b.tar")


async def test_a_used_database_is_not_restored_into(tmp_path: Path, urls: tuple[str, str]) -> None:
    old = installation.settings(tmp_path / "old", database_url=urls[0])
    await installation.prepare(old, urls[0])
    maintenance.backup(old, tmp_path / "b.tar", objects=False)
    new = empty(tmp_path / "new", urls[1])
    maintenance.migrate(new)
    with pytest.raises(Conflict, match="catalog already"):
        maintenance.restore(new, tmp_path / "b.tar")
    assert not new.keys_dir.exists()


def rewrite(archive: Path, change: dict[str, bytes | None]) -> None:
    """The archive with members replaced, or removed (None), or added."""
    with tarfile.open(archive) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
    manifest = members.pop(MANIFEST)
    members = {k: v for k, v in (members | {MANIFEST: manifest} | change).items() if v is not None}
    with tarfile.open(archive, "w") as tar:
        for name, data in sorted(members.items(), key=lambda item: item[0] == MANIFEST):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    "change",
    [
        {"credential.json": b"{}"},
        {"credential.json": None},
        {"keys/extra.secret": b"x"},
        {"../outside": b"x"},
        {"/etc/outside": b"x"},
        {MANIFEST: None},
        {MANIFEST: b"[]"},
        {MANIFEST: b'{"format": 1}'},
        None,
    ],
)
async def test_a_damaged_archive_leaves_nothing(tmp_path: Path, change: dict[str, bytes | None] | None) -> None:
    url = default_url(str(tmp_path / "old/state"))
    old = installation.settings(tmp_path / "old")
    await installation.prepare(old, url)
    archive = tmp_path / "b.tar"
    maintenance.backup(old, archive)
    if change is None:
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    else:
        rewrite(archive, change)
    new = empty(tmp_path / "new", default_url(str(tmp_path / "new/state")))
    with pytest.raises(BadRequest):
        maintenance.restore(new, archive)
    assert tree(new.state_dir) == {}
    assert not new.keys_dir.exists() and not new.identity.credential.exists()
    assert not (tmp_path / "outside").exists()


async def test_a_restore_that_fails_at_the_end_takes_everything_back(tmp_path: Path) -> None:
    old = installation.settings(tmp_path / "old")
    await installation.prepare(old, default_url(str(tmp_path / "old/state")))
    maintenance.backup(old, tmp_path / "b.tar")
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    new = empty(tmp_path / "new", default_url(str(blocked / "deeper")))
    with pytest.raises(OSError):
        maintenance.restore(new, tmp_path / "b.tar")
    assert tree(new.state_dir) == {}
    assert not new.keys_dir.exists() and not new.identity.credential.exists()


async def test_a_backup_without_a_named_object_is_refused(tmp_path: Path, urls: tuple[str, str]) -> None:
    old = installation.settings(tmp_path / "old", database_url=urls[0])
    await installation.prepare(old, urls[0])
    next((old.state_dir / "objects").glob("??/*")).unlink()
    with pytest.raises(HeadraceError, match="not there"):
        maintenance.backup(old, tmp_path / "b.tar")
    assert [p.name for p in tmp_path.iterdir()] == ["old"]
