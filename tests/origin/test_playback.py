"""Starting a session (CDN-04, CDN-05, CDN-06, T-021)."""

import asyncio
import json
from typing import Any

import pytest

from origin.catalog.service import Catalog
from origin.contract import pathways, token
from origin.contract.pathways import Pathways
from origin.contract.urls import split_token
from origin.playback import edges
from tests.origin.conftest import Running
from tests.origin.installation import BEARER

START = "/api/v1/playback/start"
BODY: dict[str, Any] = {"contentId": "bbb", "device": {"deviceType": "Web", "deviceId": "d-1"}}


async def start(origin: Running, body: Any = None, path: str = START) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(BODY if body is None else body).encode()
    async with origin.api.post(path, data=data, headers=BEARER if "operator" in path else {}) as answer:
        return answer.status, await answer.json()


async def test_cdn_04_a_session_names_edge_manifest_and_tokens(origin: Running) -> None:
    status, session = await start(origin)
    assert status == 200
    assert set(session) == {
        "sessionId",
        "manifestUrl",
        "playbackToken",
        "licenseUrl",
        "certificateUrl",
        "expiresAt",
    }
    assert (session["licenseUrl"], session["certificateUrl"]) == (None, None)
    assert session["expiresAt"] == "2027-01-16T08:00:00Z"
    base = "http://127.0.0.1:8301"
    assert session["manifestUrl"].startswith(base + "/~")
    media, path = split_token(session["manifestUrl"].removeprefix(base))
    assert path == "/content/bbb/v1/master.m3u8"
    keys, now = token.Keys.load(origin.settings.keys_dir), origin.clock.wall()
    grant = token.Verifier(keys).check(media, path=path, now=now)
    assert (grant.subject, grant.path, grant.cap_kbps) == (session["sessionId"], "/content/bbb/", 6000)
    assert grant.expires == now + 86_400, "CDN-05"
    licence = token.verify(session["playbackToken"], keys)
    assert (licence.audience, licence.subject) == ("licence", session["sessionId"])
    with pytest.raises(token.TokenRefused):
        licence.check(path=path, audience=token.MEDIA, now=now)
    assert origin.control.asked == [{"client": "127.0.0.1", "contentId": "bbb", "sessionId": session["sessionId"]}]
    assert origin.control.speakers == ["origin-1"]


async def test_the_format_chooses_the_manifest(origin: Running) -> None:
    for wanted, name in (("hls", "master.m3u8"), ("dash", "manifest.mpd")):
        _, session = await start(origin, BODY | {"format": wanted})
        assert session["manifestUrl"].endswith(f"/content/bbb/v1/{name}")


async def test_sessions_differ(origin: Running) -> None:
    sessions = await asyncio.gather(*(start(origin) for _ in range(20)))
    assert len({session["sessionId"] for _, session in sessions}) == 20
    assert len({session["manifestUrl"] for _, session in sessions}) == 20


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "bad_request"),
        (b"{", 400, "bad_request"),
        (b"[]", 400, "bad_request"),
        (b"x" * 5000, 400, "bad_request"),
        ({}, 400, "bad_request"),
        ({"contentId": "bbb"}, 400, "bad_request"),
        (BODY | {"contentId": 7}, 400, "bad_request"),
        (BODY | {"contentId": "../x"}, 400, "bad_request"),
        (BODY | {"contentId": "bbb\n"}, 400, "bad_request"),
        (BODY | {"device": {"deviceType": "Web"}}, 400, "bad_request"),
        (BODY | {"device": {"deviceType": "Web", "deviceId": ""}}, 400, "bad_request"),
        (BODY | {"device": {"deviceType": "Web", "deviceId": "d", "maxBitrate": 99}}, 400, "bad_request"),
        (BODY | {"format": "mss"}, 400, "bad_request"),
        (BODY | {"extra": 1}, 400, "bad_request"),
        (BODY | {"contentId": "none"}, 404, "not_found"),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong(origin: Running, body: Any, status: int, kind: str) -> None:
    got, answer = await start(origin, body)
    assert (got, answer["error"]) == (status, kind)
    assert answer["message"] and answer["requestId"]
    assert origin.control.asked == []


async def test_a_title_that_is_not_ready_is_a_conflict(origin: Running) -> None:
    catalog = Catalog.open(f"sqlite+aiosqlite:///{origin.settings.state_dir}/catalog.db")
    try:
        await catalog.add_title("new", "New", "demo", "v1")
        status, answer = await start(origin, BODY | {"contentId": "new"})
        assert (status, answer["error"]) == (409, "conflict")
        await catalog.set_state("new", "v1", "failed", "no picture")
        status, answer = await start(origin, BODY | {"contentId": "new"})
        assert (status, answer["message"]) == (409, "new cannot be played: its ingest failed")
    finally:
        await catalog.close()


async def test_with_control_away_the_last_answer_serves(origin: Running) -> None:
    origin.control.edges = [{"id": "edge-2", "url": "http://127.0.0.1:8302/"}]
    await start(origin)
    origin.control.edges = [{"id": "edge-3", "url": "http://127.0.0.1:8303"}]
    origin.control.status = 500
    status, session = await start(origin)
    assert status == 200
    assert session["manifestUrl"].startswith("http://127.0.0.1:8302/~"), "the title's last answer"
    async with origin.api.get("/metrics") as answer:
        text = await answer.text()
    assert 'headrace_origin_edge_choices_total{source="remembered_title"} 1.0' in text


async def test_a_title_nobody_asked_about_gets_a_known_edge(origin: Running) -> None:
    catalog = Catalog.open(f"sqlite+aiosqlite:///{origin.settings.state_dir}/catalog.db")
    try:
        await catalog.add_title("other", "Other", "demo", "v1")
        found = await catalog.published("bbb", "v1")
        assert found is not None
        await catalog.publish("other", "v1", list(found.assets.values()), list(found.rungs), 1.0)
    finally:
        await catalog.close()
    await start(origin)
    origin.control.raw = b"not json"
    status, session = await start(origin, BODY | {"contentId": "other"})
    assert status == 200
    assert session["manifestUrl"].startswith("http://127.0.0.1:8301/~")


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, None),
        (302, None),
        (200, b"{}"),
        (200, b'{"edges": [{"id": "e"}]}'),
        (200, b'{"edges": 7}'),
        (200, b'{"edges": [{"id": "e", "url": "javascript:x"}]}'),
        (200, b'{"edges": [], "mapVersion": 1}'),
        (503, b'{"error": "no_edge"}'),
        (200, b" " * 70_000),
    ],
)
async def test_with_no_edge_known_the_answer_is_503(origin: Running, status: int, raw: bytes | None) -> None:
    origin.control.status, origin.control.raw = status, raw
    async with origin.api.post(START, json=BODY) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert (await answer.json())["error"] == "no_edge"


async def test_a_control_that_does_not_answer_costs_a_bounded_time(
    origin: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "TIMEOUT_S", 0.1)
    origin.control.hold = asyncio.Event()
    async with asyncio.timeout(5):
        status, answer = await start(origin)
    origin.control.hold.set()
    assert (status, answer["error"]) == (503, "no_edge")


async def test_operators_get_a_signed_playlist(origin: Running) -> None:
    status, session = await start(origin, {"contentId": "bbb"}, "/api/v1/operator/playlist")
    assert status == 200
    assert session["manifestUrl"].endswith("/content/bbb/v1/master.m3u8")
    async with origin.api.post("/api/v1/operator/playlist", json={"contentId": "bbb"}) as answer:
        assert answer.status == 403


async def test_a_control_that_fails_is_left_alone_for_a_while(origin: Running) -> None:
    """RES-06: after five failures in a row nobody waits for control until it may be probed again."""
    await start(origin)
    origin.control.status = 500
    for _ in range(10):
        assert (await start(origin))[0] == 200
    assert len(origin.control.asked) == 1 + edges.LIMITS.failures
    origin.clock.advance(edges.LIMITS.reset_s)
    origin.control.status = 200
    await start(origin)
    await start(origin)
    assert len(origin.control.asked) == 3 + edges.LIMITS.failures


async def test_pathways_are_in_the_manifest_url_and_the_token_vouches_for_them(origin: Running) -> None:
    """contracts.md, explicit pathways: the edge needs no map; media URLs do not grow; the licence token has none."""
    steering = "http://127.0.0.1:8100/steer/abc"
    edges = [{"id": f"edge-{n}", "url": f"http://127.0.0.1:830{n}"} for n in (1, 2, 3)]
    answer = {"edges": edges, "mapVersion": 1, "pathways": 2, "steering": steering}
    origin.control.raw = json.dumps(answer).encode()
    _, session = await start(origin)
    url, _, value = session["manifestUrl"].partition("?steer=")
    assert pathways.decode(value) == Pathways(("http://127.0.0.1:8301", "http://127.0.0.1:8302"), steering)
    media, _ = split_token(url.removeprefix("http://127.0.0.1:8301"))
    keys = token.Keys.load(origin.settings.keys_dir)
    assert token.verify(str(media), keys).pathways == pathways.digest(value)
    assert token.verify(session["playbackToken"], keys).pathways is None
    origin.control.raw, origin.control.status = None, 500
    _, session = await start(origin)
    _, _, value = session["manifestUrl"].partition("?steer=")
    assert pathways.decode(value).steering is None, "with control away there is somewhere to turn, and nobody to ask"


async def test_a_session_with_one_edge_has_no_pathways(origin: Running) -> None:
    _, session = await start(origin)
    assert "?" not in session["manifestUrl"]
