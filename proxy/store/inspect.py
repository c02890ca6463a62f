"""Looking at a node's store from outside: what lies there, and whether it is what it should be. Reads only."""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lmdb

from proxy.rules import variants
from proxy.rules.freshness import age, freshness
from proxy.store import disk, journal, sparse
from proxy.store.accounts import Account, By
from proxy.store.directory import scan
from proxy.store.format import Foreign
from proxy.store.index import FOLDER, Index, Row

_PIECE = 1 << 20


class NoStore(Exception):
    """There is no cache of ours in that directory."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One object. Seconds; `left` is what is left of its freshness, negative when stale; `variant` may be empty."""

    key: str
    variant: str
    size: int
    age: float
    left: float
    tags: tuple[str, ...]


@dataclass
class Totals:
    """A store in figures. `accounts`: by tag or by tenant, as was asked."""

    objects: int = 0
    bytes: int = 0
    growing: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)

    def add(self, other: "Totals") -> None:
        """Put those of another directory to these."""
        self.objects, self.bytes = self.objects + other.objects, self.bytes + other.bytes
        self.growing += other.growing
        for name, more in other.accounts.items():
            known = self.accounts.get(name, Account(name, 0, 0))
            self.accounts[name] = Account(name, known.objects + more.objects, known.bytes + more.bytes)

    def largest(self, most: int) -> list[Account]:
        """The accounts with the most bytes."""
        return heapq.nlargest(most, self.accounts.values(), key=lambda each: each.bytes)


@dataclass
class Verified:
    """What verify found; all is well when `findings` is empty."""

    files: int = 0
    bytes: int = 0
    findings: list[str] = field(default_factory=list)

    def add(self, other: "Verified") -> None:
        """Put those of another directory to these."""
        self.files, self.bytes = self.files + other.files, self.bytes + other.bytes
        self.findings += other.findings


def opened(directory: Path) -> Index:
    """The index of a store, for reading, a running node's as well. NoStore when there is none."""
    try:
        if not (directory / FOLDER / "data.mdb").is_file():
            raise NoStore(f"{directory}: no cache of ours (no {FOLDER}/data.mdb)")
        return Index(directory, read_only=True)
    except lmdb.Error as error:
        raise NoStore(f"{directory}: its index cannot be read: {error}") from None


def objects(directory: Path, index: Index, now: float) -> Iterator[Listed]:
    """Every object that is there and whole, by name of its file."""
    for row in index.rows():
        try:
            meta = disk.read_meta(disk.path_of_name(directory, row.name))
        except (OSError, Foreign):
            continue
        if variants.from_meta(meta) is not None:
            continue  # only a list of what selects the variants
        old, (key, _, variant) = age(meta, now), row.key.partition(variants.MARK)
        yield Listed(key, variant, row.size, old, freshness(meta).lifetime - old, row.tags)


def totals(directory: Path, index: Index, by: By) -> Totals:
    """The store in figures, from its accounts: O(accounts)."""
    whole = index.account("all")
    growing = sum(disk.size_of(path) for path in (directory / "parts").glob("*.*.*"))
    return Totals(whole.objects, whole.bytes, growing, {each.name: each for each in index.accounts(by)})


def verify(directory: Path, index: Index) -> Iterator[Verified]:
    """Read every byte: bodies against their digests, files against the index and the other way round. Yields after
    every file, the last time with everything. Of a running node, what changes meanwhile may show."""
    result = Verified()
    rows = {row.name: row for row in index.rows()}
    waiting = journal.waiting(directory)
    for file in scan(directory):
        name = bytes.fromhex(file.path.parent.name + file.path.name)
        _verify_file(result, directory, file.path, rows.pop(name, None), waiting=waiting)
        yield result
    if not waiting:
        result.findings += [f"{row.key}: in the index, no file" for row in rows.values()]
    yield result


def _verify_file(result: Verified, directory: Path, path: Path, row: Row | None, *, waiting: bool) -> None:
    where = path.relative_to(directory)
    try:
        found = disk.find(directory, disk.read_meta(path).key)
        if found is None:
            return
        damaged = sparse.damaged(found) if found.layout.slice_size else _digest(found) != found.layout.digest
    except Foreign as error:
        result.findings.append(f"{where}: {error}")
        return
    except OSError as error:
        result.findings.append(f"{where}: {error.strerror}")
        return
    result.files += 1
    result.bytes += found.layout.body_length
    if damaged:
        result.findings.append(f"{where}: {found.meta.key}: the body is not what was written")
    if row is None and not waiting:
        result.findings.append(f"{where}: {found.meta.key}: not in the index")
    elif row is not None and row.size != disk.size_of(path) and not waiting:
        result.findings.append(f"{where}: {found.meta.key}: the index has another size")


def _digest(found: disk.Found) -> bytes:
    state = hashlib.sha256()
    with found.path.open("rb") as file:
        file.seek(found.layout.body_offset)
        while piece := file.read(_PIECE):
            state.update(piece)
    return state.digest()
