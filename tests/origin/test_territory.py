"""Where titles may be played: CDN-04, C-38, T-022, T-082."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from geo.territory import Territory
from kit.clock import ManualClock
from kit.errors import NotFound
from origin.app.main import applications
from origin.app.parts import database_url as database_url_of
from origin.catalog.service import Catalog
from tests.origin import installation
from tests.origin.installation import BEARER
from tests.support.geo import write_database

BODY = {"contentId": "bbb", "device": {"deviceType": "Web", "deviceId": "d-1"}}
RULES = "/api/v1/titles/bbb/territory"


async def test_a_territory_is_kept_replaced_and_goes_with_its_title(catalog: Catalog) -> None:
    """C-38: several countries, with exceptions; T-082: open when nothing is said."""
    await catalog.add_title("bbb", "Big Buck Bunny", "demo", "v1")
    assert (await catalog.territory("bbb")).open
    for rules in (Territory.of(["DE", "FR"], ["US"]), Territory.of(deny=["GB"]), Territory()):
        await catalog.set_territory("bbb", rules)
        assert await catalog.territory("bbb") == rules
    await catalog.set_territory("bbb", Territory.of(["DE"]))
    await catalog.remove("bbb")
    assert (await catalog.territory("bbb")).open
    with pytest.raises(NotFound):
        await catalog.set_territory("bbb", Territory.of(["DE"]))


@pytest.fixture(params=[{}, {"home_country": "DE"}])
async def api(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Any]:
    """An origin behind a proxy on loopback, with a database that places 10.1.0.0/16 in DE and 10.2.0.0/16 in US."""
    control = installation.Control(now=clock.wall)
    places = write_database(tmp_path / "places.mmdb", {"10.1.0.0/16": {"country_code": "DE"}} | US)
    given = {"geo_database": places, "trusted_proxies": ("127.0.0.0/8",)} | request.param
    async with TestServer(control.application()) as server:
        settings = installation.settings(tmp_path, control=f"http://127.0.0.1:{server.port}", **given)
        await installation.prepare(settings, database_url_of(settings), clock=clock)
        async with applications(settings, clock=clock) as apps, TestClient(TestServer(apps.api)) as client:
            client.home, client.control = request.param.get("home_country"), control
            yield client


US = {"10.2.0.0/16": {"country_code": "US"}}


async def start(api: Any, client: str) -> tuple[int, Any]:
    fields = {"X-Forwarded-For": f"10.2.0.99, {client}"}
    async with api.post("/api/v1/playback/start", json=BODY, headers=fields) as answer:
        return answer.status, await answer.json()


async def allow(api: Any, **rules: list[str]) -> None:
    async with api.put(RULES, json=rules, headers=BEARER) as answer:
        assert answer.status == 200
        assert await answer.json() == {"contentId": "bbb", "allow": [], "deny": []} | rules


async def test_cdn_04_outside_its_territory_a_title_is_not_available(api: Any) -> None:
    """The country of the request's address, by the right-most hop that is no proxy of ours (T-022)."""
    assert (await start(api, "10.2.0.1"))[0] == 200
    await allow(api, allow=["DE", "FR"])
    assert (await start(api, "10.1.0.1"))[0] == 200
    asked = len(api.control.asked)
    status, answer = await start(api, "10.2.0.1")
    assert (status, answer["error"]) == (451, "not_available")
    assert answer["message"] == "Content not available in US"
    assert len(api.control.asked) == asked, "control is not asked for an edge"
    await allow(api, deny=["DE"])
    assert (await start(api, "10.2.0.1"))[0] == 200
    assert (await start(api, "10.1.0.1"))[1]["message"] == "Content not available in DE"


async def test_nobody_knows_where_gets_only_what_is_open(api: Any) -> None:
    assert (await start(api, "192.0.2.1"))[0] == 200
    await allow(api, allow=["DE"])
    status, answer = await start(api, "192.0.2.1")
    assert status == (200 if api.home else 451)
    if not api.home:
        assert answer["message"] == "Content not available in an unknown region"


async def test_the_chosen_edge_is_for_the_client_not_the_proxy(api: Any) -> None:
    await start(api, "10.1.0.1")
    assert api.control.asked[-1]["client"] == "10.1.0.1"


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        (RULES, {"allow": ["DE"]}, {}, 403),
        (RULES, {"allow": ["de"]}, BEARER, 400),
        (RULES, {"allow": ["QQ"]}, BEARER, 400),
        (RULES, {"allow": ["DE"], "deny": ["DE"]}, BEARER, 400),
        (RULES, {"allow": "DE"}, BEARER, 400),
        (RULES, {"only": ["DE"]}, BEARER, 400),
        (RULES, {"allow": ["DE"] * 301}, BEARER, 400),
        ("/api/v1/titles/none/territory", {"allow": ["DE"]}, BEARER, 404),
        ("/api/v1/titles/N%20/territory", {"allow": ["DE"]}, BEARER, 404),
    ],
)
async def test_rules_are_checked(api: Any, path: str, body: Any, headers: dict[str, str], status: int) -> None:
    async with api.put(path, json=body, headers=headers) as answer:
        assert answer.status == status
    async with api.get(RULES, headers=BEARER) as answer:
        assert await answer.json() == {"contentId": "bbb", "allow": [], "deny": []}


async def test_health_names_database_and_home(api: Any) -> None:
    async with api.get("/health") as answer:
        geo = (await answer.json())["geo"]
    assert geo["databases"][0]["file"].endswith("places.mmdb")
    assert geo["homeCountry"] == api.home
