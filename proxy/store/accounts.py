"""Objects and bytes by tag, by tenant and in all: a table of the index, changed with the rows. Exact, O(1) a row."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kit.metrics import Family

_SUM = struct.Struct(">QQ")
_KEY_BYTES = 440
_PREFIX = {"all": b"*", "tag": b"t", "tenant": b"n"}
By = Literal["all", "tag", "tenant"]
OTHER = "other"
TENANT_OBJECTS = "headrace_store_tenant_objects"
TENANT_BYTES = "headrace_store_tenant_bytes"


def metrics(tenants: Sequence[str]) -> tuple[Family, ...]:
    """The metrics of a node that has these tenants."""
    values = (*tenants, OTHER)
    return (
        Family(TENANT_OBJECTS, "Objects in the cache directories by tenant", "gauge", label="tenant", values=values),
        Family(TENANT_BYTES, "Bytes in the cache directories by tenant", "gauge", label="tenant", values=values),
    )


@dataclass(frozen=True, slots=True)
class Account:
    """What one tag or tenant has. Of a name longer than LMDB's keys the beginning stands for all that share it."""

    name: str
    objects: int
    bytes: int


class Tenants:
    """Whose an object is: the longest of the configured path prefixes that it lies under; else its authority."""

    def __init__(self, prefixes: Sequence[str] = ()) -> None:
        self.prefixes = tuple(sorted(prefixes, key=len, reverse=True))

    def of(self, key: str) -> str:
        """The tenant of a cache key (authority, path, query)."""
        authority, slash, path = key.partition("/")
        return next((each for each in self.prefixes if (slash + path).startswith(each)), authority)


BY_AUTHORITY = Tenants()


class Accounts:
    """Sums in one LMDB table; every call is within the caller's transaction."""

    def __init__(self, table: Any, tenants: Tenants) -> None:
        self._table, self._tenants = table, tenants

    def add(self, txn: Any, key: str, tags: Sequence[str], size: int, sign: int) -> None:
        """An object came (`sign` 1) or went (-1)."""
        self._change(txn, _key("all", ""), size, sign)
        self._change(txn, _key("tenant", self._tenants.of(key)), size, sign)
        for tag in tags:
            self._change(txn, _key("tag", tag), size, sign)

    def get(self, txn: Any, by: By, name: str = "") -> Account:
        """One of them, zeros when nothing is there."""
        return Account(name, *_SUM.unpack(txn.get(_key(by, name), db=self._table) or bytes(_SUM.size)))

    def each(self, txn: Any, by: By) -> Iterator[Account]:
        """All of a kind, by name."""
        prefix = _PREFIX[by]
        with txn.cursor(db=self._table) as cursor:
            if not cursor.set_range(prefix):
                return
            for key, blob in cursor:
                if not key.startswith(prefix):
                    return
                yield Account(key[1:].decode("utf-8", "replace"), *_SUM.unpack(blob))

    def _change(self, txn: Any, key: bytes, size: int, sign: int) -> None:
        objects, total = _SUM.unpack(txn.get(key, db=self._table) or bytes(_SUM.size))
        if objects + sign <= 0:
            txn.delete(key, db=self._table)
        else:
            txn.put(key, _SUM.pack(objects + sign, max(0, total + sign * size)), db=self._table)


def _key(by: By, name: str) -> bytes:
    return _PREFIX[by] + name.encode("utf-8", "surrogateescape")[:_KEY_BYTES]
