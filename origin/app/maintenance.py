"""What `headrace origin migrate|backup|restore` does (ORG-09, T-036). Blocking: for commands, not for the loop.

A backup is one tar with the catalog at one moment, the token keys, the node credential and (by default) the objects.
Not in it: uploads and jobs under way, the operator token.
"""

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from configs.schema.origin import OriginSettings
from kit.errors import BadRequest, Conflict
from origin.app import archive, dump
from origin.app.archive import Manifest
from origin.app.parts import database_url
from origin.catalog.migrate import migrate_blocking


def migrate(settings: OriginSettings) -> None:
    """Bring the catalog's tables up to date."""
    migrate_blocking(database_url(settings))


def backup(settings: OriginSettings, out: Path, *, objects: bool = True) -> Manifest:
    """Write the archive `out`; everything may go on running meanwhile.

    Objects are never changed and are stored before a catalog names them, so that the catalog is copied first. Conflict
    when `out` is there already or the catalog names an object that is not.
    """
    if out.exists():
        raise Conflict(f"{out} is there already")
    url = database_url(settings)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=out.absolute().parent) as folder:
        copy = Path(folder) / "catalog"
        dump.save(url, copy)
        if objects:
            _check_objects(objects_dir(settings), dump.named(url, copy))
        files = _files(settings, copy, objects=objects)
        return archive.write(out, files, backend=dump.backend(url), made_at=time.time(), objects=objects)


def restore(settings: OriginSettings, source: Path) -> Manifest:
    """Put a backup into an empty installation, every byte checked; whole or not at all.

    Conflict when any part of it is there already, BadRequest when the archive is damaged or of another database.
    """
    url = database_url(settings)
    _check_nothing_there(settings, url)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.state_dir) as folder:
        manifest = archive.unpack(source, Path(folder))
        if manifest.backend != dump.backend(url):
            raise BadRequest(f"a backup of {manifest.backend} does not go into {dump.backend(url)}")
        _check_complete(Path(folder), manifest)
        _place(settings, Path(folder), url)
    return manifest


def objects_dir(settings: OriginSettings) -> Path:
    """Where the objects are."""
    return settings.objects_dir or settings.state_dir / "objects"


def _files(settings: OriginSettings, catalog: Path, *, objects: bool) -> Iterator[tuple[str, Path]]:
    yield "catalog", catalog
    yield "credential.json", settings.identity.credential
    for key in sorted(settings.keys_dir.iterdir()):
        yield f"keys/{key.name}", key
    if objects:
        for file in sorted(objects_dir(settings).glob("[0-9a-f][0-9a-f]/*")):
            yield f"objects/{file.parent.name}/{file.name}", file


def _check_objects(folder: Path, named: set[str]) -> None:
    missing = sorted(digest for digest in named if not (folder / digest[:2] / digest).is_file())
    if missing:
        raise Conflict(f"the catalog names {len(missing)} objects that are not there: {missing[0]} and so on")


def _check_complete(folder: Path, manifest: Manifest) -> None:
    for entry in manifest.files:
        if entry.name.startswith("objects/") and not entry.name.endswith(f"/{entry.sha256[:2]}/{entry.sha256}"):
            raise BadRequest(f"{entry.name} is not the object that its name says")
    if not (folder / "catalog").is_file():
        raise BadRequest("the backup has no catalog")
    if manifest.with_objects and manifest.backend == "sqlite":
        _check_objects(folder / "objects", dump.named_by_file(folder / "catalog"))


def _check_nothing_there(settings: OriginSettings, url: str) -> None:
    for place in (settings.keys_dir, objects_dir(settings)):
        if place.is_dir() and any(place.iterdir()):
            raise Conflict(f"{place} is not empty: restore into an empty installation only")
    if settings.identity.credential.exists():
        raise Conflict(f"{settings.identity.credential} is there already: restore into an empty installation only")
    dump.check_empty(url)


def _place(settings: OriginSettings, folder: Path, url: str) -> None:
    """Objects, keys and credential first, the catalog last: until it is there, nothing of the rest means anything."""
    moves = [
        (folder / "objects", objects_dir(settings)),
        (folder / "keys", settings.keys_dir),
        (folder / "credential.json", settings.identity.credential),
    ]
    with ExitStack() as undo:
        for source, target in moves:
            if source.exists():
                undo.callback(_remove, target)
                _move(source, target)
        dump.load(url, folder / "catalog")
        undo.pop_all()


def _move(source: Path, target: Path) -> None:
    """By way of a copy beside the target where that is on another file system: nobody sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        target.rmdir()
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        shutil.move(source, beside)
        beside.rename(target)
    finally:
        _remove(beside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
