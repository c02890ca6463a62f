"""A node's store as its operator sees it: purge, ls, stat, verify."""

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge import Edge
from tests.support.installation import fetch, headrace_json, until
from tests.support.site import Plain, serving

pytestmark = pytest.mark.processes


def _body(target: str) -> bytes:
    """What origin says for a target: always the same bytes, of a size of its own."""
    return random.Random(target).randbytes(1_000 + len(target) * 9_000)


class _Origin(Plain):
    def do_GET(self) -> None:
        body = _body(self.path)
        self.head(len(body), Cache_Groups=f'"title:{self.path.split("/")[1]}"')
        self.wfile.write(body)


@pytest.fixture
def origin() -> Iterator[str]:
    with serving(_Origin) as url:
        yield url


@pytest.fixture
def edge(tmp_path: Path, origin: str) -> Iterator[Edge]:
    made = Edge(tmp_path, origin)
    made.start()
    yield made
    made.end(signal.SIGKILL)


def _hit(edge: Edge, target: str) -> bool:
    status, fields, body = fetch(edge.url + target)
    assert (status, body) == (200, _body(target))
    return "; hit" in fields["cache-status"]


def test_purge_ls_stat_and_verify(edge: Edge) -> None:
    targets = ["/film/a", "/film/b", "/other/a"]
    for target in targets:
        _hit(edge, target)
    assert all(_hit(edge, target) for target in targets)
    node = ("--node", edge.admin, "--token-file", str(edge.token))
    code, (done,) = headrace_json("purge", *node, "--tag", "title:film")
    assert (code, done["objects"]) == (0, 2)
    assert [_hit(edge, target) for target in targets] == [False, False, True]
    code, rows = headrace_json("cache", "ls", str(edge.cache), "--json")
    until(lambda: len(headrace_json("cache", "ls", str(edge.cache), "--json")[1]) == 3, 10, "the keeper has read all")
    code, (figures,) = headrace_json("cache", "stat", str(edge.cache), "--json")
    assert (code, figures["objects"]) == (0, 3)
    assert {row["tag"]: row["objects"] for row in figures["tags"]} == {"title:film": 2, "title:other": 1}
    code, (by,) = headrace_json("cache", "stat", str(edge.cache), "--by", "tenant", "--json")
    assert [(row["objects"], row["bytes"]) for row in by["tenants"]] == [(3, figures["bytes"])]
    assert figures["bytes"] == sum(path.stat().st_blocks * 512 for path in edge.cache.glob("??/*"))
    edge.end()
    code, (found,) = headrace_json("cache", "verify", str(edge.cache), "--json")
    assert (code, found["ok"], found["files"]) == (0, True, 3)
    file = next(edge.cache.glob("??/*"))
    blob = bytearray(file.read_bytes())
    blob[-1] ^= 1
    file.write_bytes(blob)
    code, (found,) = headrace_json("cache", "verify", str(edge.cache), "--json")
    assert (code, len(found["findings"])) == (1, 1)
    assert rows


@pytest.mark.parametrize(
    ("headers", "document", "status"),
    [
        ({}, {"tag": "x"}, 403),
        ({"Authorization": "Bearer wrong"}, {"tag": "x"}, 403),
        (None, {}, 400),
        (None, {"tag": "x", "url": "/x"}, 400),
        (None, {"tag": 7}, 400),
        (None, {"url": "/../x"}, 400),
        (None, {"tag": "x", "soft": "yes"}, 400),
        (None, {"tag": "x", "what": 1}, 400),
    ],
)
def test_a_purge_that_is_not_an_operator_s_or_not_understood(
    edge: Edge, headers: dict[str, str] | None, document: dict[str, Any], status: int
) -> None:
    fields = {"Authorization": f"Bearer {edge.token.read_text()}"} if headers is None else headers
    got, _, body = fetch(f"{edge.admin}/purge", json.dumps(document).encode(), fields)
    assert got == status, body
