"""One tar with a list of what is in it: every file's size and SHA-256, in a manifest that is written last.

A cut archive has no manifest and a changed one does not match it, so either is refused as a whole.
"""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import orjson

from kit.errors import BadRequest

MANIFEST = "manifest.json"
FORMAT = 1
MAX_MANIFEST = 512 * 2**20
_CHUNK = 1 << 20
_NAME = re.compile(r"(?:catalog|credential\.json|keys/[A-Za-z0-9._-]{1,128}|objects/[0-9a-f]{2}/[0-9a-f]{64})")
"""Names that may be in an archive; with no other can a file end up anywhere else."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds. `backend` is the catalog's database kind; times are seconds since the epoch."""

    backend: str
    made_at: float
    with_objects: bool
    files: tuple[Entry, ...]
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)


def write(out: Path, files: Iterable[tuple[str, Path]], *, backend: str, made_at: float, objects: bool) -> Manifest:
    """Make the archive `out` (mode 600: it holds keys), whole or not at all."""
    part = out.with_name(f".{out.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                manifest = Manifest(backend, made_at, objects, tuple(_add(tar, *each) for each in files))
                _add_bytes(tar, MANIFEST, orjson.dumps(asdict(manifest)))
            raw.flush()
            os.fsync(raw.fileno())
        part.rename(out)
        return manifest
    finally:
        part.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path) -> Manifest:
    """Put every file below `folder` and check it against the manifest. BadRequest for anything that does not match."""
    found: dict[str, Entry] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(archive, mode="r|") as tar:
            for member in tar:
                if manifest is not None or member.name in found or not member.isreg():
                    raise BadRequest(f"{archive}: {member.name[:80]!r} does not belong in a backup")
                source = tar.extractfile(member)
                assert source is not None
                if member.name == MANIFEST:
                    manifest = _parse(source.read(MAX_MANIFEST))
                else:
                    found[member.name] = _extract(member.name, source, folder)
    except (tarfile.TarError, EOFError) as error:
        raise BadRequest(f"{archive}: not a whole tar: {error}") from None
    return _checked(archive, manifest, found)


def _add(tar: tarfile.TarFile, name: str, path: Path) -> Entry:
    digest = hashlib.sha256()
    info = tarfile.TarInfo(name)
    info.size, info.mode = path.stat().st_size, 0o600
    with path.open("rb") as source:
        tar.addfile(info, _Hashing(source, digest))
    return Entry(name, info.size, digest.hexdigest())


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    tar.addfile(info, io.BytesIO(data))


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, source: IO[bytes], digest: "hashlib._Hash") -> None:
        self._source, self._digest = source, digest

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._digest.update(data)
        return data


def _extract(name: str, source: IO[bytes], folder: Path) -> Entry:
    if not _NAME.fullmatch(name):
        raise BadRequest(f"{name[:80]!r} does not belong in a backup")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return Entry(name, size, digest.hexdigest())


def _parse(data: bytes) -> Manifest:
    try:
        tree = orjson.loads(data)
        files = tuple(Entry(**entry) for entry in tree.pop("files"))
        return Manifest(**tree, files=files)
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        raise BadRequest("the backup's manifest is not understood") from None


def _checked(archive: Path, manifest: Manifest | None, found: dict[str, Entry]) -> Manifest:
    if manifest is None:
        raise BadRequest(f"{archive}: cut short: it has no manifest")
    if manifest.format != FORMAT:
        raise BadRequest(f"{archive}: format {manifest.format}, this version reads {FORMAT}")
    for entry in manifest.files:
        if found.pop(entry.name, None) != entry:
            raise BadRequest(f"{archive}: {entry.name} is missing or not as it was backed up")
    if found:
        raise BadRequest(f"{archive}: {min(found)} is not in its manifest")
    return manifest
