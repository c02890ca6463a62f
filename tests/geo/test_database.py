"""MaxMind DBs: what is read, what is refused and with which words, and what replaces what (CTL-04)."""

import asyncio
import os
from pathlib import Path

import pytest

from geo.centroids import CENTROIDS
from geo.database import Database, Place
from geo.distance import Point
from geo.live import Live
from kit.clock import ManualClock
from kit.errors import SettingsError
from tests.support.geo import AUTONOMOUS, PLACES, write_database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_database(tmp_path / "places.mmdb")


@pytest.mark.parametrize(
    ("client", "place"),
    [
        ("10.1.2.3", Place("DE", Point(52.5, 13.4), "10.1.0.0/16")),
        ("10.2.2.3", Place("US", CENTROIDS["US"], "10.2.0.0/16")),
        ("10.3.255.255", Place("JP", CENTROIDS["JP"], "10.3.0.0/16")),
        ("10.4.0.1", Place(None, None, "10.4.0.0/16")),
        ("::ffff:10.2.2.3", Place("US", CENTROIDS["US"], "10.2.0.0/16")),
        ("fd00:1:2::3", Place("FR", Point(48.85, 2.35), "fd00:1::/32")),
        ("10.5.0.1", None),
        ("fd00:2::1", None),
    ],
)
def test_an_address_has_a_place(file: Path, client: str, place: Place | None) -> None:
    """CTL-04: GeoIP2's form and the flat one of ip-location-db; a country alone stands at its centroid."""
    assert Database.load(file).place(client) == place


def test_what_is_no_address_is_a_value_error(file: Path) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        Database.load(file).place("localhost")


def test_a_database_of_ipv4_alone_knows_no_ipv6(tmp_path: Path) -> None:
    only = {network: record for network, record in PLACES.items() if ":" not in network}
    database = Database.load(write_database(tmp_path / "four.mmdb", only, ip_version=4))
    assert database.place("fd00:1::1") is None
    place = database.place("::ffff:10.2.0.1")
    assert place and place.country == "US"


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _tree_torn(data: bytes) -> bytes:
    return b"\xff" * 300 + data[300:]


def _without_head(data: bytes) -> bytes:
    return data[200:]


@pytest.mark.parametrize("damage", [_half, _tree_torn, _without_head, lambda _: b"", lambda _: b"no database\n"])
def test_a_torn_database_is_refused_with_file_and_reason(file: Path, damage) -> None:
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(SettingsError) as refused:
        Database.load(file)
    assert str(refused.value).startswith(f"{file}: no whole MaxMind DB: ")
    assert "/proc/" not in str(refused.value)


def test_a_database_of_another_type_is_refused(tmp_path: Path) -> None:
    file = write_database(tmp_path / "asn.mmdb", AUTONOMOUS, type_="Test-ASN")
    with pytest.raises(SettingsError) as refused:
        Database.load(file)
    assert str(refused.value) == f"{file}: a database of 'Test-ASN', which names no countries"


def test_a_missing_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.mmdb: No such file"):
        Database.load(tmp_path / "none.mmdb")


def test_a_file_overwritten_in_place_changes_nothing(file: Path) -> None:
    """What was read is kept apart: a torn page would be another country, a shorter file the end of the process."""
    database = Database.load(file)
    os.truncate(file, 10)
    place = database.place("10.2.0.1")
    assert place and place.country == "US"


def test_every_centroid_is_on_earth() -> None:
    assert len(CENTROIDS) == 250
    assert all(-90 <= at.latitude <= 90 and -180 <= at.longitude <= 180 for at in CENTROIDS.values())


async def test_a_new_file_replaces_the_old(file: Path) -> None:
    live = Live([file], ManualClock())
    await live.look()
    write_database(file, PLACES | {"10.5.0.0/16": {"country_code": "FR"}})
    assert live.place("10.5.0.1") is None, "nobody looked yet"
    await live.look()
    place = live.place("10.5.0.1")
    assert place and place.country == "FR"
    assert live.health()["databases"][0]["error"] is None


async def test_a_bad_file_leaves_the_old_serving_and_health_says_why(file: Path) -> None:
    live, good = Live([file], ManualClock()), file.read_bytes()
    file.write_bytes(good[:100])
    await live.look()
    place = live.place("10.2.0.1")
    assert place and place.country == "US"
    assert live.health()["databases"][0]["error"].startswith(f"{file}: no whole MaxMind DB")
    file.write_bytes(good)
    await live.look()
    assert live.health()["databases"][0]["error"] is None


async def test_sighup_reads_again_at_once(file: Path) -> None:
    """The follower waits for the signal's event, not for its next look."""
    live, asked = Live([file], ManualClock()), asyncio.Event()
    following = asyncio.create_task(live.follow(asked))
    write_database(file, PLACES | {"10.5.0.0/16": {"country_code": "FR"}})
    asked.set()
    async with asyncio.timeout(4.0):
        while live.place("10.5.0.1") is None:
            await asyncio.sleep(0.01)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_without_a_file_nobody_is_anywhere() -> None:
    live = Live((), ManualClock())
    await live.look(again=True)
    assert live.place("10.1.0.1") is None
    assert live.health() == {"databases": []}


def test_an_old_database_is_said_to_be_old(file: Path) -> None:
    built = Database.load(file).about.built
    said = [Live([file], ManualClock(built + days * 86_400.0)).health() for days in (1, 200)]
    assert [each["databases"][0]["old"] for each in said] == [False, True]


def test_of_several_databases_the_first_that_knows_speaks(file: Path, tmp_path: Path) -> None:
    """The city edition comes in two files, one for each version of IP."""
    only = {"10.9.0.0/16": {"country_code": "FR"}, "10.1.0.0/16": {"country_code": "FR"}}
    more = write_database(tmp_path / "four.mmdb", only, ip_version=4)
    live = Live([file, more], ManualClock())
    found = [live.place(client) for client in ("10.1.0.1", "10.9.0.1", "fd00:1::1", "fd00:9::1")]
    assert [place and place.country for place in found] == ["DE", "FR", "FR", None]
