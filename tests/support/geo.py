"""Small MaxMind DBs, made by mmdb-writer: private ranges stand for countries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

PLACES: dict[str, Any] = {
    "10.1.0.0/16": {"country": {"iso_code": "DE"}, "location": {"latitude": 52.5, "longitude": 13.4}},
    "10.2.0.0/16": {"country_code": "US"},
    "10.3.0.0/16": {"country": {"iso_code": "JP"}},
    "10.4.0.0/16": {"city": "nowhere"},
    "fd00:1::/32": {"country_code": "FR", "latitude": "48.85", "longitude": "2.35"},
    "127.0.0.0/8": {"country_code": "DE"},
}
AUTONOMOUS: dict[str, Any] = {"10.0.0.0/8": {"autonomous_system_number": 64512}}


def write_database(
    file: Path, places: Mapping[str, Any] = PLACES, *, type_: str = "Test-Country", ip_version: int = 6
) -> Path:
    """A database of `places`, put in place by renaming."""
    writer = MMDBWriter(ip_version, type_, ipv4_compatible=ip_version == 6)
    for network, record in places.items():
        writer.insert_network(IPSet([network]), record)
    part = file.with_suffix(".part")
    writer.to_db_file(str(part))
    part.replace(file)
    return file
