"""Delivery refuses a revoked shield from its next request on, and after a restart (issue 5, parts 1 and 4)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from control.contract.credential import Credential, issue
from control.contract.orders import Revoke
from control.enrol import fleet_key, write_credential
from kit.clock import SystemClock
from origin.app.main import applications
from origin.app.parts import database_url
from origin.contract.headers import NODE
from tests.control.ordering import fleet
from tests.origin import installation
from tests.support.redis import RedisServer
from tests.support.wire import DEADLINE_S

CLOCK = SystemClock()
PATH = "/content/bbb/v1/v720/init.mp4"
Delivered = TestClient[web.Request, web.Application]


async def _status(delivery: Delivered, shield: Credential) -> int:
    signed = shield.sign("origin", method="GET", target=PATH, now=CLOCK.wall())
    async with delivery.get(PATH, headers={NODE: signed}) as answer:
        return answer.status


@pytest.mark.parametrize("form", ["memory", "redis"])
async def test_a_revoked_shield_gets_nothing_from_origin(form: str, tmp_path: Path, redis_server: RedisServer) -> None:
    form_of: dict[str, Any] = {"redis_url": redis_server.url} if form == "redis" else {}
    async with fleet(tmp_path, **form_of) as control:
        settings = installation.settings(tmp_path / "origin", control=control.url)
        key = fleet_key(tmp_path / "fleet")
        write_credential(key, "origin-1", "origin", settings.identity.credential)
        await installation.prepare(settings, database_url(settings))
        lost, other = (issue(key, name, "shield", "0" * 16) for name in ("shield-1", "shield-2"))
        async with applications(settings) as apps, TestClient(TestServer(apps.delivery)) as delivery:
            assert [await _status(delivery, each) for each in (lost, other)] == [200, 200]
            revoke = Revoke(by="node", what=lost.name, until=CLOCK.wall() + 600)
            order = await control.service.orders.issue(revoke)
            await _until_refused(delivery, lost)
            assert await _status(delivery, other) == 200
            await _acknowledged(control.service.orders, order.number)
    async with applications(settings) as apps, TestClient(TestServer(apps.delivery)) as delivery:
        assert [await _status(delivery, each) for each in (lost, other)] == [403, 200], "control is away now"


async def _until_refused(delivery: Delivered, shield: Credential) -> None:
    end = CLOCK.monotonic() + DEADLINE_S
    while await _status(delivery, shield) != 403:
        assert CLOCK.monotonic() < end, "never refused"
        await asyncio.sleep(0.005)


async def _acknowledged(orders: Any, number: int) -> None:
    end = CLOCK.monotonic() + DEADLINE_S
    while (await orders.status(number)).done < 1:
        assert CLOCK.monotonic() < end, "never acknowledged"
        await asyncio.sleep(0.005)
