"""An edge verifies with keys that a rollout brought, and does not take up settings whose keys it cannot use."""

from pathlib import Path

import pytest

from configs.schema.node import EdgeSettings
from edge.node.worker import role
from kit.clock import SystemClock
from origin.contract.token import Keys, mint, new_key
from tests.support.nodes import node
from tests.support.upstream import says, upstream


def _settings(tmp_path: Path, **changes: object) -> EdgeSettings:
    given = {"listen": "127.0.0.1:0", "store": {"cache_dir": tmp_path / "cache"}, "origin": "http://127.0.0.1:1"}
    return EdgeSettings.model_validate(given | {"keys_dir": tmp_path / "own"} | changes)


async def test_a_token_of_a_key_that_came_with_a_rollout_opens_its_title(tmp_path: Path) -> None:
    new_key(tmp_path / "own")
    kid = new_key(tmp_path / "other")
    pem = (tmp_path / "other" / f"{kid}.public.pem").read_text()
    word = mint(Keys.load(tmp_path / "other"), path="/content/a/", now=SystemClock().wall(), ttl_s=60)
    statuses = []
    async with upstream(says(b"x", Cache_Control="max-age=60")) as origin:
        for keys in ({kid: pem}, {}):
            made = role(_settings(tmp_path, origin=origin.url, token_keys=keys))
            async with node(tmp_path / f"node-{len(keys)}", origin.url, role=made) as edge:
                statuses.append((await edge.get(f"/~{word}/content/a/v1/x")).status)
    assert statuses == [200, 403]


def test_a_key_that_cannot_be_used_keeps_the_edge_as_it_is(tmp_path: Path) -> None:
    """`main` makes a refused reload of it, and the snapshot is told back with the reason."""
    kid = new_key(tmp_path / "own")
    other = new_key(tmp_path / "other")
    pem = (tmp_path / "other" / f"{other}.public.pem").read_text()
    with pytest.raises(ValueError, match=f"'{kid}' is another key"):
        role(_settings(tmp_path, token_keys={kid: pem}))
