"""The public API with real credentials and listener: CTL-01, CDN-04, SEC-07, T-020; and the embedded Reporter."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import structlog.testing
from yarl import URL

from configs.schema.base import NodeIdentity
from configs.schema.control import ControlSettings, Region
from control.admin.steering import Case, explained
from control.api.app import public_app
from control.api.service import Service
from control.contract.credential import Credential
from control.contract.errors import NoEdgeLeft
from control.contract.messages import ChooseRequest, LoadParts, Report
from control.contract.observations import Observations, Quality, RoundTrip
from control.enrol import fleet_key, write_credential
from control.main import building
from control.node import ControlLink, Reporter
from control.node.link import checked_url
from control.node.reporter import LONGEST_S, pause_s
from control.steering.session import steering_key, unseal
from kit.clock import ManualClock, SystemClock
from kit.errors import SettingsError, UpstreamFailed
from kit.hashing import rank
from kit.service import listening
from origin.contract.headers import NODE, REFUSAL_BODY
from tests.control.support import report, until
from tests.support.geo import PLACES, write_database

CLOCK = SystemClock()
SEEN = "/api/v1/nodes/{}/observations"
CHOOSE = "/api/v1/steering/choose"
BEAT = "/api/v1/nodes/{}/heartbeat"


class Installation:
    """One control on a loopback port, and credentials for its nodes."""

    def __init__(self, service: Service, url: str, session: aiohttp.ClientSession, directory: Path) -> None:
        self.service, self.url, self.session = service, url, session
        self._directory = directory

    def identity(self, node_id: str, role: str = "edge", url: str | None = None) -> NodeIdentity:
        file = self._directory / f"{node_id}.json"
        write_credential(fleet_key(self._directory / "fleet"), node_id, role, file)
        return NodeIdentity(id=node_id, credential=file, control=url or self.url)

    async def post(self, who: str, role: str, path: str, body: bytes, **changes: str) -> tuple[int, bytes]:
        credential = Credential.load(self.identity(who, role).credential)
        field = credential.sign("control", method="POST", target=path, now=CLOCK.wall(), body=body)
        headers = {NODE: field, "Content-Type": "application/json"} | changes
        async with self.session.post(self.url + path, data=body, headers=headers) as response:
            return response.status, await response.read()

    async def beat(self, node_id: str, told: Report | None = None) -> int:
        status, _ = await self.post(node_id, (told or report()).role, BEAT.format(node_id), (told or report()).encode())
        return status

    async def choose(self, client: str = "10.0.0.1") -> tuple[int, dict]:
        body = ChooseRequest(client=client, content_id="bbb", session_id="s1").encode()
        status, answer = await self.post("origin-1", "origin", CHOOSE, body)
        return status, json.loads(answer)


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Installation]:
    settings = ControlSettings(
        fleet_key_file=tmp_path / "fleet",
        regions={
            "east": Region(networks=("10.0.0.0/8",), next=("west",)),
            "west": Region(networks=("10.2.0.0/16",)),
        },
        default_region="east",
    )
    async with (
        building(settings, CLOCK) as service,
        listening(public_app(service), "127.0.0.1", 0, drain_s=1) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Installation(service, url, session, tmp_path)


async def test_a_heartbeat_registers_and_the_edge_is_chosen(control: Installation) -> None:
    """CTL-01, CDN-04: load is the highest part; the answer names id and URL."""
    told = report().model_copy(update={"load": LoadParts(cpu=3, egress=41)})
    status, answer = await control.post("edge-1", "edge", BEAT.format("edge-1"), told.encode())
    assert (status, json.loads(answer)) == (200, {"mapVersion": 1, "expiryS": 2.5, "intervalS": 1.0, "snapshot": 0})
    assert control.service.registry.map().nodes["edge-1"].load == 41
    assert await control.choose() == (
        200,
        {"edges": [{"id": "edge-1", "url": "http://127.0.0.1:8301"}], "mapVersion": 1, "pathways": 1, "steering": None},
    )


async def test_a_session_with_two_edges_is_steered_for_good(control: Installation) -> None:
    """Issue 5, part 3 (b): the answer to choose names where the player asks; CORS, no-store, never an error."""
    await control.beat("edge-1")
    await control.beat("edge-2", report(region="west", url="http://127.0.0.1:8302"))
    _, chosen = await control.choose()
    assert chosen["pathways"] == 2
    path = chosen["steering"].removeprefix("http://127.0.0.1:8100")
    for query in ("", "?_HLS_pathway=A&_HLS_throughput=1", "?_DASH_pathway=%22B%22"):
        async with control.session.get(control.url + path + query) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            fields = response.headers
            assert (fields["Cache-Control"], fields["Access-Control-Allow-Origin"]) == ("no-store", "*")
            told = await response.json(content_type=None)
        assert set(told) == {"VERSION", "TTL", "RELOAD-URI", "PATHWAY-PRIORITY"}
        assert (told["VERSION"], told["RELOAD-URI"]) == (1, chosen["steering"])
        assert told["PATHWAY-PRIORITY"] == (["B", "A"] if "B" in query else ["A", "B"])
    await control.service.registry.leave("edge-1")
    await control.service.registry.leave("edge-2")
    async with control.session.get(control.url + path) as response:
        assert (response.status, (await response.json())["PATHWAY-PRIORITY"]) == (200, ["A", "B"])
    async with control.session.get(control.url + path[:-3] + "abc") as response:
        assert (response.status, await response.read()) == (403, REFUSAL_BODY)


async def test_a_page_may_ask_for_steering_with_cmcd_in_header_fields(control: Installation) -> None:
    """Fetch: a browser asks first (OPTIONS), without credentials; contracts.md: CORS `*`."""
    asks = {"Origin": "http://page.test", "Access-Control-Request-Method": "GET"}
    asks["Access-Control-Request-Headers"] = "cmcd-session"
    async with control.session.options(f"{control.url}/steer/{'t' * 40}", headers=asks) as response:
        fields = response.headers
        assert (response.status, fields["Access-Control-Allow-Origin"]) == (204, "*")
        assert "CMCD-Session" in fields["Access-Control-Allow-Headers"]
        assert "GET" in fields["Access-Control-Allow-Methods"]


async def test_clients_without_steering_are_sent_to_an_edge(control: Installation) -> None:
    """Issue 5, part 3 (c); T-020: nobody is sent anywhere when there is no edge."""
    token = "t" * 40

    async def ask(path: str) -> tuple[int, str | None]:
        async with control.session.get(URL(control.url + path, encoded=True), allow_redirects=False) as response:
            if response.status == 302:
                assert response.headers["Cache-Control"] == "no-store"
            return response.status, response.headers.get("Location")

    assert await ask(f"/r/bbb/v1/master.m3u8?token={token}") == (503, None)
    await control.beat("edge-1")
    for file in ("v1/master.m3u8", "v1/manifest.mpd", "v1/v240/00001.m4s"):
        where = f"http://127.0.0.1:8301/~{token}/content/bbb/{file}"
        assert await ask(f"/r/bbb/{file}?token={token}") == (302, where)
    refused = ("", "?token=", "?token=short", f"?token={token}&token={token}", f"?token={token}%0d%0aX:1", "?token=a/b")
    for query in refused:
        assert await ask(f"/r/bbb/v1/master.m3u8{query}") == (403, None)
    for path in ("BBB/v1/x", "bbb/../x", "bbb/v1/%2e%2e/x", "bbb/.hidden", "bbb/v1//x", "bbb/" + "a/" * 20):
        assert (await ask(f"/r/{path}?token={token}"))[0] in (400, 404)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "region"),
    [
        ((), "10.2.0.1", "east"),
        (("127.0.0.0/8",), "10.2.0.1", "west"),
        (("127.0.0.0/8",), "10.2.0.1, 10.0.0.1", "east"),
        (("127.0.0.0/8", "10.0.0.0/24"), "10.0.0.9, 10.2.0.1, 10.0.0.1", "west"),
        (("127.0.0.0/8",), None, "east"),
        (("192.0.2.0/24",), "10.2.0.1", "east"),
    ],
)
async def test_the_router_takes_a_clients_address_from_its_own_proxies_alone(
    tmp_path: Path, proxies: tuple[str, ...], forwarded: str | None, region: str
) -> None:
    """CTL-04, T-022: the right-most address that is no proxy of ours; what stands left of it anybody may write."""
    regions = {"east": Region(), "west": Region(networks=("10.2.0.0/16",))}
    given = {"regions": regions, "default_region": "east", "trusted_proxies": proxies}
    settings = ControlSettings(fleet_key_file=tmp_path / "fleet", **given)
    async with (
        building(settings, CLOCK) as service,
        listening(public_app(service), "127.0.0.1", 0, drain_s=1) as url,
        aiohttp.ClientSession() as session,
    ):
        made = Installation(service, url, session, tmp_path)
        for place in regions:
            await made.beat(f"edge-{place}", report(region=place, url=f"http://{place}.test"))
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        where = f"{url}/r/bbb/v1/master.m3u8?token={'t' * 40}"
        async with session.get(where, headers=headers, allow_redirects=False) as response:
            assert response.headers["Location"].startswith(f"http://{region}.test/")


async def test_what_players_see_moves_the_choice_and_is_explained(control: Installation) -> None:
    """Issue 5, part 6: most sessions of an edge where players of many networks fail go to its neighbour."""
    for name in ("edge-1", "edge-2"):
        await control.beat(name)
    first, second = rank("bbb", ["edge-1", "edge-2"])
    for start in range(0, 96, 32):
        told = [Quality(network=f"10.0.{n}.0/24", votes=9, failed=9) for n in range(start, start + 32)]
        status, _ = await control.post(first, "edge", SEEN.format(first), Observations(quality=tuple(told)).encode())
        assert status == 200
    await control.service.opinions.round()
    assert control.service.opinions.losses.new == {first: pytest.approx(0.9)}
    case = Case(client="10.0.0.1", content="bbb", session="s1")
    rows = {row.id: (row.place, row.why, row.loss) for row in explained(control.service, case).rows}
    assert rows == {second: (1, "quality", 0.0), first: (2, "poor", 0.9)}
    _, answer = await control.choose()
    assert [each["id"] for each in answer["edges"]] == [second, first]
    metrics = await (await control.session.get(control.url + "/metrics")).text()
    assert 'headrace_control_choices_total{why="quality"} 1.0' in metrics
    for _ in range(3):
        await control.service.monitor.round()
    assert control.service.monitor.state().degraded == (first,)
    await control.service.opinions.round()
    assert control.service.opinions.losses.new == {first: pytest.approx(0.9)}


async def test_the_clients_network_names_the_region(control: Installation) -> None:
    """CTL-04, C-64: the own region first, then its next; west has no next."""
    await control.beat("edge-1")
    assert (await control.choose("10.2.0.1"))[0] == 503
    await control.beat("edge-2", report(region="west"))
    for client, expected in (("10.2.0.1", ["edge-2"]), ("10.0.0.1", ["edge-1", "edge-2"])):
        _, answer = await control.choose(client)
        assert [each["id"] for each in answer["edges"]] == expected


async def test_none_is_503_with_a_time_to_come_back(control: Installation) -> None:
    """T-020: sessions are shed, origin is never the answer."""
    body = ChooseRequest(client="10.0.0.1", content_id="bbb", session_id="s1").encode()
    credential = Credential.load(control.identity("origin-1", "origin").credential)
    field = credential.sign("control", method="POST", target=CHOOSE, now=CLOCK.wall(), body=body)
    async with control.session.post(control.url + CHOOSE, data=body, headers={NODE: field}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "2")
        assert (await response.json())["error"] == "no_edge"


async def test_leave_takes_the_node_out_at_once(control: Installation) -> None:
    await control.beat("edge-1")
    assert (await control.post("edge-1", "edge", "/api/v1/nodes/edge-1/leave", b""))[0] == 200
    assert (await control.choose())[0] == 503


@pytest.mark.parametrize(
    ("who", "role", "path", "changes"),
    [
        ("edge-1", "edge", BEAT.format("edge-1"), {NODE: ""}),
        ("edge-1", "edge", BEAT.format("edge-1"), {NODE: "edge edge-1 1 x"}),
        ("edge-2", "edge", BEAT.format("edge-1"), {}),
        ("edge-2", "edge", "/api/v1/nodes/edge-1/leave", {}),
        ("shield-1", "shield", BEAT.format("shield-1"), {}),
        ("edge-1", "edge", CHOOSE, {}),
    ],
)
async def test_whoever_may_not_gets_the_constant_refusal(control: Installation, who, role, path, changes) -> None:
    """SEC-07: no or wrong credential, another node's path, another role's report; the reason is counted."""
    assert await control.post(who, role, path, report().encode(), **changes) == (403, REFUSAL_BODY)
    async with control.session.get(control.url + "/metrics") as response:
        text = await response.text()
    assert 'headrace_control_refused_total{reason="' in text
    assert control.service.registry.map().nodes == {}


async def test_a_signature_covers_the_body(control: Installation) -> None:
    credential = Credential.load(control.identity("edge-1").credential)
    path = BEAT.format("edge-1")
    field = credential.sign("control", method="POST", target=path, now=CLOCK.wall(), body=report(90).encode())
    async with control.session.post(control.url + path, data=report(0).encode(), headers={NODE: field}) as response:
        assert (response.status, await response.read()) == (403, REFUSAL_BODY)


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"load": {"cpu": "high"}}, 400, "load.cpu"),
        ({"load": {"cpu": -1}}, 400, "load.cpu"),
        ({"load": {"gpu": 1}}, 400, "load.gpu"),
        ({"url": "javascript:alert(1)"}, 400, "url"),
        ({"url": "http://user@host"}, 400, "url"),
        ({"extra": 1}, 400, "extra"),
        ({"started": None}, 400, "started"),
        ({"region": "mars"}, 422, "region"),
        ({"version": "x" * 20_000}, 413, "Too Large"),
    ],
)
async def test_a_body_is_checked_strictly(control: Installation, change: dict, status: int, says: str) -> None:
    body = json.dumps(json.loads(report().encode()) | change).encode()
    got, answer = await control.post("edge-1", "edge", BEAT.format("edge-1"), body)
    assert got == status
    assert set(json.loads(answer)) == {"error", "message"}
    assert says in json.loads(answer)["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"client":"x","contentId":"bbb","sessionId":"s"}', b"\xff"])
async def test_junk_questions_are_400(control: Installation, body: bytes) -> None:
    assert (await control.post("origin-1", "origin", CHOOSE, body))[0] == 400


async def test_unknown_paths_and_methods_are_json_too(control: Installation) -> None:
    for path, status in (("/nothing", 404), (CHOOSE, 405)):
        async with control.session.get(control.url + path) as response:
            assert response.status == status
            assert set(await response.json()) == {"error", "message"}
            assert response.headers["X-Request-ID"]


async def test_health_says_where_the_map_is(control: Installation) -> None:
    await control.beat("edge-1")
    async with control.session.get(control.url + "/health") as response:
        health = await response.json()
    assert health["registry"]["kind"] == "memory"
    assert health["regions"] == {"east": {"edge": 1}, "west": {}}
    assert (health["status"], health["mapVersion"]) == ("ok", 1)


async def test_a_reporter_registers_finds_control_again_and_leaves(control: Installation, tmp_path: Path) -> None:
    """A node reports by itself; control gone and back on the same port is survived; leaving is at once."""
    edge = Reporter(control.identity("edge-1"), "edge", report, CLOCK, control.session)
    assert edge.state().last_success_age_s is None
    edge.start()
    await until(lambda: edge.state().map_version == 1)
    assert "edge-1" in control.service.registry.map().nodes
    assert await edge.leave()
    assert "edge-1" not in control.service.registry.map().nodes
    await edge.close()


async def test_a_reporter_outlives_control(control: Installation, tmp_path: Path) -> None:
    async with listening(public_app(control.service), "127.0.0.1", 0, drain_s=0.1) as url:
        edge = Reporter(control.identity("edge-9", url=url), "edge", report, CLOCK, control.session)
        edge.start()
        await until(lambda: edge.state().map_version)
    await until(lambda: edge.state().failures)
    assert "reached" in (edge.state().error or "")
    async with listening(public_app(control.service), "127.0.0.1", int(url.rpartition(":")[2]), drain_s=0.1):
        await until(lambda: not edge.state().failures)
        await edge.close()


async def test_a_figure_that_cannot_be_taken_does_not_end_the_heartbeat(control: Installation) -> None:
    async def describe() -> Report:
        if not asyncio_calls:
            asyncio_calls.append(1)
            raise OSError("no such meter")
        return report()

    asyncio_calls: list[int] = []
    edge = Reporter(control.identity("edge-1"), "edge", describe, CLOCK, control.session)
    edge.start()
    await until(lambda: edge.state().failures)
    assert "no such meter" in (edge.state().error or "")
    await until(lambda: edge.state().map_version)
    await asyncio.gather(edge.close())


async def test_origin_asks_through_the_link(control: Installation) -> None:
    asked = ChooseRequest(client="10.0.0.1", content_id="bbb", session_id="s1")
    link = ControlLink(control.identity("origin-1", "origin"), "origin", CLOCK, control.session)
    with pytest.raises(NoEdgeLeft):
        await link.choose(asked)
    await control.beat("edge-1")
    assert [edge.id for edge in (await link.choose(asked)).edges] == ["edge-1"]
    late = ControlLink(control.identity("origin-1", "origin"), "origin", ManualClock(), control.session)
    with pytest.raises(UpstreamFailed, match="403"):
        await late.choose(asked)


@pytest.mark.parametrize("failures", range(12))
@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_heartbeats_are_never_more_than_two_seconds_apart(failures: int, chance: float) -> None:
    assert 1.0 <= pause_s(1.0, failures, chance) <= LONGEST_S
    assert pause_s(1.0, 0, chance) == 1.0
    assert pause_s(60.0, failures, chance) == LONGEST_S


@pytest.mark.parametrize("url", ["http://10.0.0.1:8100", "http://control.test", None])
def test_plain_http_is_for_loopback_only(url: str | None) -> None:
    """contracts.md: HTTPS required off loopback."""
    with pytest.raises(SettingsError):
        checked_url(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8100", "http://[::1]:1", "http://localhost:1", "https://c.test/x"])
def test_https_or_loopback_is_taken(url: str) -> None:
    assert checked_url(url) == url


async def test_a_credential_of_another_is_a_settings_error(control: Installation) -> None:
    for identity, role in ((control.identity("edge-1"), "shield"), (control.identity("x", "control"), "control")):
        with pytest.raises(SettingsError, match=r"identity\.credential"):
            ControlLink(identity, role, CLOCK, control.session)


def test_the_fleet_key_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "fleet"
    assert fleet_key(file) == fleet_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="600"):
        fleet_key(file)
    (tmp_path / "bad").write_text("zz")
    with pytest.raises(SettingsError):
        fleet_key(tmp_path / "bad")


async def test_what_edges_measure_moves_the_choice(control: Installation) -> None:
    """CTL-03, D-15: the second candidate wins for the network that is nearer to it, and for no other."""
    for name in ("edge-1", "edge-2"):
        await control.beat(name)
    first, second = rank("bbb", ["edge-1", "edge-2"])
    for name, ms in ((first, 80.0), (second, 20.0)):
        told = Observations(round_trips=(RoundTrip(network="10.0.7.0/24", ms=ms, count=3),))
        status, answer = await control.post(name, "edge", SEEN.format(name), told.encode())
        assert (status, json.loads(answer)) == (200, {"taken": 1})
    for client, expected in (("10.0.7.9", [second, first]), ("10.0.8.9", [first, second])):
        _, answer = await control.choose(client)
        assert [each["id"] for each in answer["edges"]] == expected
    async with control.session.get(control.url + "/health") as response:
        assert (await response.json())["history"] == {"networks": 1, "redis": None, "error": None}


@pytest.mark.parametrize(
    ("trips", "says"),
    [
        ([{"network": "10.0.7.0/23", "ms": 1, "count": 1}], "network"),
        ([{"network": "10.0.7.1/24", "ms": 1, "count": 1}], "network"),
        ([{"network": "10.0.7.0/24", "ms": 0, "count": 1}], "ms"),
        ([{"network": "10.0.7.0/24", "ms": 1e9, "count": 1}], "ms"),
        ([{"network": "10.0.7.0/24", "ms": 1, "count": 0}], "count"),
        ([{"network": "10.0.7.0/24", "ms": 1, "count": 1}] * 65, "roundTrips"),
    ],
)
async def test_observations_are_checked_strictly(control: Installation, trips: list, says: str) -> None:
    body = json.dumps({"roundTrips": trips}).encode()
    status, answer = await control.post("edge-1", "edge", SEEN.format("edge-1"), body)
    assert status == 400
    assert says in json.loads(answer)["message"]


async def test_players_votes_become_a_score(control: Installation) -> None:
    """Issue 5, part 6: what players see, by edge."""
    rows = tuple(Quality(network=f"10.0.{n}.0/24", stream="vod", votes=9, stalled=9, stalls=9) for n in range(25))
    status, answer = await control.post("edge-1", "edge", SEEN.format("edge-1"), Observations(quality=rows).encode())
    assert (status, json.loads(answer)) == (200, {"taken": 25})
    found = control.service.votes.qoe("edge-1")
    assert found is not None and found.score == pytest.approx(0.4)
    async with control.session.get(control.url + "/metrics") as response:
        text = await response.text()
    assert 'headrace_control_votes_total{stream="vod"} 225.0' in text
    assert 'headrace_control_stalled_votes_total{stream="vod"} 225.0' in text


async def test_only_an_edge_tells_of_viewers_and_only_of_its_own(control: Installation) -> None:
    body = Observations().encode()
    for who, role, path in (("shield-1", "shield", "shield-1"), ("edge-2", "edge", "edge-1")):
        assert await control.post(who, role, SEEN.format(path), body) == (403, REFUSAL_BODY)


async def test_health_says_that_there_is_no_geo_database(control: Installation) -> None:
    async with control.session.get(control.url + "/health") as response:
        assert (await response.json())["geo"] == {"databases": [], "defaultRegion": "east"}


async def test_the_database_names_the_nearest_region(tmp_path: Path) -> None:
    """CTL-04, C-64: and without `next` the regions follow by distance."""
    file = write_database(tmp_path / "places.mmdb")
    settings = ControlSettings(
        fleet_key_file=tmp_path / "fleet",
        geo_database=file,
        regions={
            "east": Region(latitude=40.7, longitude=-74.0),
            "europe": Region(latitude=50.1, longitude=8.7),
            "asia": Region(latitude=35.7, longitude=139.7),
        },
        default_region="asia",
    )
    async with building(settings, CLOCK) as service:
        regions = [service.places.region(client) for client in ("10.1.0.1", "10.2.0.1", "10.3.0.1", "10.9.0.1")]
        assert regions == ["europe", "east", "asia", "asia"]
        assert service.policy.next["east"] == ("europe", "asia")
        write_database(file, PLACES | {"10.9.0.0/16": {"country_code": "FR"}})
        await service.geo.look()
        assert service.places.region("10.9.0.1") == "europe"


async def test_control_does_not_start_on_a_torn_database(tmp_path: Path) -> None:
    file = tmp_path / "places.mmdb"
    file.write_bytes(b"torn")
    settings = ControlSettings(fleet_key_file=tmp_path / "fleet", geo_database=file)
    with pytest.raises(SettingsError, match=r"places\.mmdb: no whole MaxMind DB"):
        async with building(settings, CLOCK):
            pass


@pytest.mark.parametrize(
    ("regions", "says"),
    [
        ({"a": {"latitude": 50}}, "both or not at all"),
        ({"a": {"countries": ["DE"]}, "b": {"countries": ["DE", "FR"]}}, "two regions: DE"),
        ({"a": {"countries": ["de"]}}, "pattern"),
        ({"a": {"latitude": 91, "longitude": 0}}, "less than or equal to 90"),
    ],
)
def test_regions_are_checked(tmp_path: Path, regions: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ControlSettings.model_validate({"fleet_key_file": tmp_path / "f", "regions": regions, "default_region": "a"})


async def test_what_strangers_ask_for_moves_nobody(control: Installation) -> None:
    """/r/ looks into no token: it must not count as load under way, nor make a title popular."""
    for name in ("edge-1", "edge-2"):
        await control.beat(name)
    for number in range(50):
        path = f"/r/bbb/v1/master.m3u8?token={number:040}"
        async with control.session.get(control.url + path, allow_redirects=False) as response:
            assert response.status == 302
    service = control.service
    assert (dict(service.coming.view(CLOCK.monotonic())), len(service.popular)) == ({}, 0)
    await control.choose()
    assert (len(service.coming.view(CLOCK.monotonic())), len(service.popular)) == (1, 1)


async def test_no_cache_keeps_what_a_node_is_told(control: Installation) -> None:
    path = "/api/v1/nodes/edge-1/orders"
    credential = Credential.load(control.identity("edge-1").credential)
    headers = {NODE: credential.sign("control", method="GET", target=path, now=CLOCK.wall())}
    async with control.session.get(control.url + path, headers=headers) as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")


async def test_an_ipv4_client_is_of_one_network_however_its_address_is_written(control: Installation) -> None:
    """A dual-stack origin says ::ffff:10.0.0.1; the steering token and the votes must speak of the same network."""
    for name in ("edge-1", "edge-2"):
        await control.beat(name)
    _, answer = await control.choose("::ffff:10.0.0.1")
    key = steering_key(fleet_key(control.service.settings.fleet_key_file))
    session = unseal(key, answer["steering"].rpartition("/")[2])
    assert session.network == "10.0.0.0/24"


async def test_a_refused_path_does_not_fill_the_log(control: Installation) -> None:
    with structlog.testing.capture_logs() as logs:
        async with control.session.get(f"{control.url}/steer/{'x' * 5000}") as response:
            assert response.status == 403
    refused = [each for each in logs if each["event"] == "refused"]
    assert len(refused) == 1 and len(str(refused)) < 1000
