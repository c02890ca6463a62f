"""Distances, networks, territories and clients behind proxies, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.distance import Point, by_distance, kilometres
from geo.network import client_network, is_client_network
from geo.territory import Territory
from kit.addresses import Trusted, client_address

FRANKFURT, NEW_YORK, TOKYO, SYDNEY = (
    Point(50.11, 8.68),
    Point(40.71, -74.01),
    Point(35.68, 139.69),
    Point(-33.87, 151.21),
)
POINTS = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        (FRANKFURT, FRANKFURT, 0),
        (FRANKFURT, NEW_YORK, 6204),
        (TOKYO, SYDNEY, 7826),
        (Point(0, 179), Point(0, -179), 222),
        (Point(90, 0), Point(-90, 0), 20_015),
    ],
)
def test_great_circle_distance(one: Point, other: Point, km: int) -> None:
    assert kilometres(one, other) == pytest.approx(km, rel=0.005, abs=0.5)


@given(POINTS, POINTS)
def test_distance_is_symmetric_and_bounded(one: Point, other: Point) -> None:
    assert kilometres(one, other) == pytest.approx(kilometres(other, one))
    assert 0 <= kilometres(one, other) <= 20_016


def test_nearest_first_and_by_name_when_equal() -> None:
    points = {"b": NEW_YORK, "c": TOKYO, "a": NEW_YORK}
    assert by_distance(FRANKFURT, points) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::1", "::/48"),
    ],
)
def test_clients_of_a_network(client: str, network: str) -> None:
    """CTL-03: /24 and /48."""
    assert client_network(client) == network
    assert is_client_network(network)


@pytest.mark.parametrize("text", ["", "192.0.2.1/24", "192.0.2.0/25", "2001:DB8::/48", "2001:db8::1/48", "x/24"])
def test_what_is_no_client_network(text: str) -> None:
    assert not is_client_network(text)


@pytest.mark.parametrize(
    ("allow", "deny", "admitted", "refused"),
    [
        ((), (), ("DE", "US", None), ()),
        (("DE", "FR"), (), ("DE", "FR"), ("US", None)),
        ((), ("US",), ("DE",), ("US", None)),
        (("DE", "FR"), ("GB",), ("FR",), ("GB", "US", None)),
    ],
)
def test_cdn_04_a_territory(allow, deny, admitted, refused) -> None:
    """C-38, T-082: open unless it says otherwise; T-022: nobody knows where is nowhere."""
    territory = Territory.of(allow, deny)
    assert all(territory.admits(each) for each in admitted)
    assert not any(territory.admits(each) for each in refused)


@pytest.mark.parametrize(
    ("allow", "deny", "says"),
    [(("de",), (), "de"), (("QQ",), (), "QQ"), (("DE",), ("DE",), "at once: DE"), (("DEU",), (), "DEU")],
)
def test_a_territory_of_what_is_no_country_is_an_error(allow, deny, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Territory.of(allow, deny)


PROXIES = Trusted(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7, 10.9.9.9"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, junk, 10.9.9.9"], "10.9.9.9"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("fd00::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("", ["198.51.100.7"], ""),
        ("10.0.0.1", ["8.8.8.8," + "10.0.0.9," * 40 + "10.0.0.8"], "10.0.0.9"),
    ],
)
def test_t_022_the_client_is_the_right_most_hop_that_nobody_vouches_for(peer, forwarded, client) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


@given(st.text(), st.lists(st.text()))
def test_nobody_is_moved_by_words_of_strangers(peer: str, forwarded: list[str]) -> None:
    assert client_address(peer, forwarded, Trusted()) in (peer, client_address(peer, [], Trusted()))
