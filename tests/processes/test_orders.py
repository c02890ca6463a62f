"""Orders at a real node: an edge of two workers that follows a control: CDN-15, CDN-22, T-100; issue 5, part 4."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from configs.dump import to_toml
from configs.schema.base import NodeIdentity
from configs.schema.node import EdgeSettings
from control.contract.orders import Drain, Prefetch, Purge, Revoke, Targets, Undrain
from control.enrol import fleet_key, write_credential
from origin.contract.token import Keys, mint, new_key, verify
from tests.control.ordering import CLOCK, Fleet, fleet
from tests.control.support import until
from tests.support.installation import ROOT
from tests.support.upstream import Call, Upstream, upstream

pytestmark = pytest.mark.processes
HERE = Targets(nodes=("edge-1",))


@dataclass
class Edge:
    """A running edge and the way to ask it as a viewer and as an operator."""

    url: str
    admin: str
    token: str
    session: aiohttp.ClientSession

    async def get(self, path: str, token: str | None = None) -> tuple[int, str]:
        """(status, Cache-Status) of a viewer's request, on a connection of its own: any worker may answer."""
        headers = {"Connection": "close"}
        async with self.session.get(f"{self.url}/~{token or self.token}{path}", headers=headers) as response:
            await response.read()
            return response.status, response.headers.get("Cache-Status", "")

    async def ready(self) -> int:
        async with self.session.get(self.admin + "/ready") as response:
            return response.status

    async def health(self) -> dict:
        async with self.session.get(self.admin + "/health") as response:
            return await response.json()


@contextlib.asynccontextmanager
async def edge(control: Fleet, place: Path, origin: Upstream, token: str) -> AsyncIterator[Edge]:
    """An edge process until the end of the block; its cache and its state stay."""
    write_credential(fleet_key(place / "fleet"), "edge-1", "edge", place / "edge-1.json")
    settings = EdgeSettings(
        listen="127.0.0.1:0",
        admin="127.0.0.1:0",
        origin=origin.url,
        keys_dir=place / "keys",
        workers=2,
        region="east",
        store={"cache_dir": place / "cache", "disk": 64 * 2**20, "memory": 16 * 2**20},
        identity=NodeIdentity(id="edge-1", credential=place / "edge-1.json", control=control.url),
    )
    (place / "edge.toml").write_text(to_toml(settings))
    ready = place / "ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "headrace.main", "edge", "--config", str(place / "edge.toml")]
    process = await asyncio.create_subprocess_exec(*command, "--ready-file", str(ready), cwd=ROOT)
    try:
        await until(lambda: ready.exists() or process.returncode is not None, deadline_s=30)
        line = json.loads(ready.read_text())
        async with aiohttp.ClientSession() as session:
            yield Edge(line["url"], line["admin"], token, session)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.wait()


async def says(call: Call) -> None:
    await call.answer(b"x" * 1000, Cache_Control="max-age=3600", Cache_Groups='"title:film"')


async def done(control: Fleet, number: int) -> None:
    """Until the order is done on the edge."""
    async with asyncio.timeout(20):
        while (await control.service.orders.status(number)).done < 1:
            await asyncio.sleep(0.02)


async def test_a_node_does_all_kinds_of_orders(tmp_path: Path) -> None:
    """Prefetch, purge, drain, revoke; and what a restart and an absence leave of them."""
    new_key(tmp_path / "keys")
    keys = Keys.load(tmp_path / "keys")
    token, other = (mint(keys, path="/content/", now=CLOCK.wall(), ttl_s=600, subject=name) for name in ("s1", "s2"))
    async with fleet(tmp_path, expiry_s=2.5) as control, upstream(says) as origin:
        orders = control.service.orders
        async with edge(control, tmp_path, origin, token) as node:
            await until(lambda: "edge-1" in control.service.registry.map().nodes)

            order = await orders.issue(Prefetch(paths=("/content/film/a", "/content/film/b")), targets=HERE)
            await done(control, order.number)
            status, cache = await node.get("/content/film/a")
            assert (status, "; hit" in cache) == (200, True), cache
            async with node.session.get(node.url + "/content/film/a", headers={"Headrace-Own": "guess"}) as response:
                assert response.status == 403

            order = await orders.issue(Purge(by="tag", what="title:film"))
            await done(control, order.number)
            assert "fwd=uri-miss" in (await node.get("/content/film/a"))[1]

            cti = verify(token, keys).token_id
            order = await orders.issue(Revoke(by="token", what=cti, until=CLOCK.wall() + 600))
            await done(control, order.number)
            assert {(await node.get("/content/film/a"))[0] for _ in range(8)} == {403}
            assert {(await node.get("/content/film/a", other))[0] for _ in range(8)} == {200}

            order = await orders.issue(Drain(), targets=HERE)
            await done(control, order.number)
            assert await node.ready() == 503
            assert (await node.get("/content/film/a", other))[0] == 200
            await until(lambda: control.service.registry.map().nodes["edge-1"].draining)

        away = await orders.issue(Purge(by="prefix", what="/content/film/", soft=True))
        async with edge(control, tmp_path, origin, other) as node:
            assert await node.ready() == 503
            assert (await node.get("/content/film/a", token))[0] == 403
            await done(control, away.number)
            assert "; hit" not in (await node.get("/content/film/a"))[1]
            order = await orders.issue(Undrain(), targets=HERE)
            await done(control, order.number)
            assert await node.ready() == 200
            told = (await node.health())["orders"]
            assert (told["draining"], told["revoked"], told["failed"], told["resets"]) == (False, 1, 0, 0)
    assert os.path.exists(tmp_path / "cache" / "orders.json")
