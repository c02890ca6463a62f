"""Requests of a node to itself: they pass admission by the node's secret, and by nothing else (CDN-22)."""

from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from edge.admit.token import TokenTier
from origin.contract.token import Keys, Verifier, new_key
from proxy.host.ordered import loopback
from proxy.serve.own import OwnTier
from tests.support.nodes import node
from tests.support.upstream import says, upstream

SECRET = "the secret of this node"


def _token_tier(place: Path) -> TokenTier:
    new_key(place / "keys")
    return TokenTier(Verifier(Keys.load(place / "keys")))


async def test_the_secret_opens_what_takes_a_token_and_fills_the_cache(tmp_path: Path) -> None:
    """The key is the one that viewers have: what was prefetched is a hit for them; the field goes no further."""
    tier = OwnTier(_token_tier(tmp_path), SECRET)
    async with (
        upstream(says(b"x", Cache_Control="max-age=60")) as origin,
        node(tmp_path, origin.url, tier=tier) as edge,
    ):
        assert (await edge.get("/content/a/1", Headrace_Own=SECRET)).status == 200
        await edge.ended("filled")
        assert "; hit" in (await edge.get("/content/a/1", Headrace_Own=SECRET)).cache
        assert (await origin.called(1)).field("Headrace-Own") is None


@pytest.mark.parametrize("given", [None, "", "guess", SECRET + "x", "\xff"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nothing_else_does(tmp_path: Path, given: str | None, method: str) -> None:
    tier = OwnTier(_token_tier(tmp_path), SECRET)
    fields = {} if given is None else {"Headrace_Own": given}
    async with (
        upstream(says(b"x", Cache_Control="max-age=60")) as origin,
        node(tmp_path, origin.url, tier=tier) as edge,
    ):
        await edge.get("/content/a/1", Headrace_Own=SECRET)
        await edge.ended("filled")
        assert (await edge.get("/content/a/1", method, **fields)).status == 403
        assert len(origin.calls) == 1


@pytest.mark.parametrize(
    ("target", "method", "status"), [("/a/../b", "GET", 400), ("/a", "POST", 405), ("/a", "HEAD", 405)]
)
async def test_the_secret_is_for_plain_paths_and_get(tmp_path: Path, target: str, method: str, status: int) -> None:
    tier = OwnTier(_token_tier(tmp_path), SECRET)
    async with upstream(says(b"x")) as origin, node(tmp_path, origin.url, tier=tier) as edge:
        assert (await edge.get(target, method, Headrace_Own=SECRET)).status == status


async def test_an_open_edge_does_not_tell_its_origin(tmp_path: Path) -> None:
    tier = OwnTier(OpenTier(), SECRET)
    async with upstream(says(b"x")) as origin, node(tmp_path, origin.url, tier=tier) as edge:
        assert (await edge.get("/a", Headrace_Own=SECRET)).status == 200
        assert (await edge.get("/b", Headrace_Own="guess")).status == 200
        for number in (1, 2):
            assert (await origin.called(number)).field("Headrace-Own") is None


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("https://[::]:443", "https://[::1]:443"),
        ("http://192.0.2.1:8080", "http://192.0.2.1:8080"),
    ],
)
def test_a_node_reaches_itself_where_it_listens(url: str, own: str) -> None:
    assert loopback(url) == own
