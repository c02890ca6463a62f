"""A MaxMind DB of places, read whole and checked when it is opened.

The bytes are copied into memory of this process's own: a database that somebody overwrites in place (instead of
renaming a new one over it) must not change, or kill (SIGBUS), a process that reads it.
"""

import ipaddress
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import maxminddb

from geo.centroids import CENTROIDS
from geo.distance import Point
from geo.network import plain, prefix
from kit.errors import SettingsError

MOST_BYTES = 2 * 2**30
_PROBED = 64
"""Networks looked at when a database is opened."""
_SPREAD = 256
"""Addresses looked up, spread over all, when a database is opened."""
_Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """What a database says of an address. `country` is ISO 3166-1 alpha-2, None where it names none; `point` is the
    database's own, else the centroid of the country; `network` is the prefix that the database has it under."""

    country: str | None
    point: Point | None
    network: str


@dataclass(frozen=True, slots=True)
class About:
    """What a database says of itself; `built` is seconds since the epoch."""

    file: str
    type: str
    built: int
    nodes: int

    def age_days(self, now: float) -> float:
        """How old it is at `now` (wall clock)."""
        return max(0.0, now - self.built) / 86_400


class Database:
    """Open with `load`; `place` does no I/O and costs about a microsecond."""

    def __init__(self, reader: maxminddb.Reader, about: About) -> None:
        self._reader, self.about = reader, about
        self._ipv4_only = reader.metadata().ip_version == 4

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read and check `file`; blocks. SettingsError names file and reason: missing, torn, or not of places."""
        try:
            reader = _opened(file)
            with_places = _probe(reader)
        except OSError as error:
            raise SettingsError(f"{file}: {error.strerror or error}") from None
        except (maxminddb.InvalidDatabaseError, ValueError, UnicodeDecodeError, MemoryError) as error:
            raise SettingsError(f"{file}: no whole MaxMind DB: {_reason(error)}") from None
        metadata = reader.metadata()
        if not with_places:
            raise SettingsError(f"{file}: a database of {metadata.database_type!r}, which names no countries")
        return cls(reader, About(str(file), metadata.database_type, metadata.build_epoch, metadata.node_count))

    def place(self, client: str) -> Place | None:
        """Where `client` is; None when the database does not know. ValueError when it is no address."""
        address = plain(ipaddress.ip_address(client))
        if self._ipv4_only and address.version == 6:
            return None
        try:
            record, bits = self._reader.get_with_prefix_len(address)
        except (maxminddb.InvalidDatabaseError, UnicodeDecodeError):  # a record that the probes did not meet
            return None
        if not isinstance(record, dict):
            return None
        country = _country(record)
        return Place(country, _point(record) or CENTROIDS.get(country or ""), prefix(address, bits))

    def close(self) -> None:
        """Let go of the memory."""
        self._reader.close()


def newest(about: About) -> str:
    """The day on which the database was built, ISO 8601."""
    return time.strftime("%Y-%m-%d", time.gmtime(about.built))


def _reason(error: Exception) -> str:
    """The reader's words, less the name of the copy that it read."""
    return str(error).partition(" (/proc/")[0]


def _opened(file: Path) -> maxminddb.Reader:
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{size} bytes, more than {MOST_BYTES}")
    copy = os.memfd_create("headrace-geo")
    try:
        with file.open("rb") as source, os.fdopen(os.dup(copy), "wb") as target:
            while piece := source.read(2**20):
                target.write(piece)
        return maxminddb.open_database(f"/proc/self/fd/{copy}")
    finally:
        os.close(copy)


def _probe(reader: maxminddb.Reader) -> bool:
    """Decode what can be decoded cheaply, over the whole of the tree; whether any of it names a country."""
    records = [record for _, record in islice(reader, _PROBED)]
    bits = 32 if reader.metadata().ip_version == 4 else 128
    step = 1 << (bits - 8)
    address = ipaddress.IPv4Address if bits == 32 else ipaddress.IPv6Address
    records += [reader.get(address(number * step)) for number in range(_SPREAD)]
    return any(isinstance(record, dict) and _country(record) for record in records)


def _country(record: _Record) -> str | None:
    """GeoIP2's form, or the flat one of ip-location-db."""
    nested = record.get("country")
    code = nested.get("iso_code") if isinstance(nested, dict) else record.get("country_code")
    return code if isinstance(code, str) and len(code) == 2 and code.isalpha() and code.isupper() else None


def _point(record: _Record) -> Point | None:
    nested = record.get("location")
    source: _Record = nested if isinstance(nested, dict) else record
    try:
        north, east = float(source["latitude"]), float(source["longitude"])
    except (KeyError, TypeError, ValueError):
        return None
    return Point(north, east) if -90 <= north <= 90 and -180 <= east <= 180 else None
