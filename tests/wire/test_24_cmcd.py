"""Players' reports on the wire: heard in both lanes, never in the key; events only of sessions (issue 5, part 6)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from edge.admit.token import TokenTier
from edge.beacon.cmcd import Said
from edge.beacon.votes import Vote, vote_of
from edge.beacon.watch import EdgeWatch
from origin.contract import token
from origin.contract.token import LICENCE, Keys, Verifier, mint
from proxy.host.worker import Role
from tests.support.nodes import Node, node
from tests.support.upstream import Call, upstream
from tests.support.watch import edge_watch
from tests.support.wire import viewer

OBJECT = "/content/bbb/v1/seg-1.m4s"
NOW = 1_800_000_000.0
V1 = 'br=3200,bs,mtp=25400,ot=v,sid="a,b",st=v,tb=6000'
SAID = Said("a,b", "vod", 1, 0, None, 3200, 6000, 25400, False)
EVENTS = b'e=ps,sta=r,sid="x",ts=1,v=2\ne=t,sta=p,sid="x",ts=2,v=2,msd=900\n'


@dataclass
class Installation:
    """An edge of token tier, its watch, what its upstream was asked."""

    edge: Node
    watch: EdgeWatch
    keys: Keys
    asked: list[str]
    fast: bool

    def token(self, **given: object) -> str:
        return mint(self.keys, **({"path": "/content/bbb/", "now": NOW, "ttl_s": 3600} | given))  # type: ignore[arg-type]

    async def votes(self) -> dict[str, Vote]:
        """The votes so far, out of the watch."""
        await self.watch.digest()
        return dict(self.watch._votes.take(1000))


@pytest.fixture(params=[True, False], ids=["lane", "aiohttp"])
async def made(request: pytest.FixtureRequest, tmp_path: Path, clock) -> AsyncIterator[Installation]:
    token.new_key(tmp_path / "keys", "ES256")
    keys, watch, asked = Keys.load(tmp_path / "keys"), edge_watch(), list[str]()

    async def script(call: Call) -> None:
        asked.append(call.target)
        await call.answer(b"segment", Cache_Control="public, max-age=600", Content_Type="video/mp4")

    async with upstream(script) as origin:
        role = Role(TokenTier(Verifier(keys), events=True), (origin.url,), watch=lambda _: watch)
        async with node(tmp_path / "cache", origin.url, role=role, clock=clock, fast_lane=request.param) as edge:
            yield Installation(edge, watch, keys, asked, request.param)


async def test_reports_in_the_query_are_votes_and_split_no_cache(made: Installation) -> None:
    text = made.token()
    for number in range(3):
        report = quote(f"{V1[:-4]}{6000 + number}", safe="")
        answer = await made.edge.get(f"/~{text}{OBJECT}?CMCD={report}")
        assert (answer.status, answer.body) == (200, b"segment")
        await made.edge.ended("filled")
    assert made.asked == [OBJECT]
    assert made.edge.count("lane_total", "fast") == (2 if made.fast else 0)
    ((name, vote),) = (await made.votes()).items()
    assert len(name) == 24, "the token's id, not the player's word"
    assert vote.network == "127.0.0.0/24"
    assert (vote.stream, vote.stalls, vote.kbps, vote.top_kbps) == ("vod", 3, 3200, 6002)


async def test_reports_in_header_fields_too(made: Installation) -> None:
    fields = {"CMCD_Object": "br=3200,tb=6000,ot=v", "CMCD_Status": "bs", "CMCD_Request": "mtp=25400"}
    for sid in ("a,b", "c"):
        text = made.token()
        await made.edge.get(f"/~{text}{OBJECT}", **fields, CMCD_Session=f'sid="{sid}",st=v')
        await made.edge.ended("filled")
    assert made.asked == [OBJECT]
    votes = await made.votes()
    assert len(votes) == 2
    assert set(votes.values()) == {vote_of("127.0.0.0/24", SAID)}


async def test_what_comes_without_a_report_is_no_vote(made: Installation) -> None:
    text = made.token()
    for target in (OBJECT, OBJECT, OBJECT + "?CMCD=", OBJECT + "?CMCD=junk(("):
        await made.edge.get(f"/~{text}{target}")
        await made.edge.ended("filled")
    assert await made.votes() == {}


async def test_whoever_is_refused_has_no_voice(made: Installation) -> None:
    report = quote(V1, safe="")
    for text in (made.token(path="/content/other/"), made.token(now=NOW - 9000), "x"):
        assert (await made.edge.get(f"/~{text}{OBJECT}?CMCD={report}")).status == 403
        assert (await made.edge.get(f"/~{text}{OBJECT}", CMCD_Status="bs")).status == 403
    assert await made.votes() == {}


async def test_events_of_a_session_are_taken(made: Installation) -> None:
    """CTA-5004-B, event mode: a POST, a report a line."""
    text = made.token()
    for _ in range(4):
        answer = await made.edge.get(f"/~{text}/cmcd", "POST", EVENTS, Content_Type="application/cmcd")
        assert (answer.status, answer.body, answer.field("Access-Control-Allow-Origin")) == (204, b"", "*")
    ((_, vote),) = (await made.votes()).items()
    assert (vote.stalls, vote.startup_ms) == (4, 900)
    assert made.asked == []


async def test_events_are_for_sessions_only_and_small(made: Installation) -> None:
    good = made.token()
    refused = [made.token(now=NOW - 9000), made.token(audience=LICENCE), "x", good[:-2] + "AA"]
    for text in refused:
        assert (await made.edge.get(f"/~{text}/cmcd", "POST", EVENTS)).status == 403
    assert (await made.edge.get("/cmcd", "POST", EVENTS)).status == 403
    too_much = await made.edge.get(f"/~{good}/cmcd", "POST", b"bs\n" * 20_000)
    assert (too_much.status, too_much.field("Connection")) == (413, "close")
    got = await made.edge.get(f"/~{good}/cmcd")
    assert (got.status, got.field("Allow")) == (405, "OPTIONS, POST")
    assert await made.votes() == {}


async def test_a_chunked_body_beyond_the_bound_is_cut_off(made: Installation) -> None:
    async with viewer(made.edge.port) as each:
        head = f"POST /~{made.token()}/cmcd HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await each.send(head.encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(12):
                await each.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await asyncio.sleep(0)
        assert (await each.head()).status == 413


async def test_browsers_may_post_events_from_anywhere(made: Installation) -> None:
    answer = await made.edge.get(f"/~{made.token()}/cmcd", "OPTIONS")
    assert (answer.status, answer.field("Access-Control-Allow-Methods")) == (204, "OPTIONS, POST")
    assert answer.field("Access-Control-Allow-Headers") == "Content-Type"
    plain = await made.edge.get(f"/~{made.token()}{OBJECT}", "OPTIONS")
    assert plain.field("Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS"


async def test_an_edge_that_does_not_listen_hears_nothing(tmp_path: Path, clock) -> None:
    token.new_key(tmp_path / "keys", "ES256")
    keys, watch = Keys.load(tmp_path / "keys"), edge_watch(listens=False)

    async def script(call: Call) -> None:
        await call.answer(b"segment", Cache_Control="public, max-age=600")

    async with upstream(script) as origin:
        role = Role(TokenTier(Verifier(keys)), (origin.url,), watch=lambda _: watch)
        async with node(tmp_path / "cache", origin.url, role=role, clock=clock) as edge:
            text = mint(keys, path="/content/bbb/", now=NOW, ttl_s=3600)
            assert (await edge.get(f"/~{text}{OBJECT}", CMCD_Status="bs")).status == 200
            assert (await edge.get(f"/~{text}/cmcd", "POST", EVENTS)).status == 403
            await watch.digest()
            assert watch._votes.take(9) == []
