"""Who gets what: the token tier of the edge, the node credential of the shield (CDN-09, T-018; contracts.md)."""

from pathlib import Path

import orjson
import pytest

from control.contract.credential import WINDOW_S, Credential, issue
from edge.admit.token import TokenTier
from kit.clock import ManualClock
from origin.contract import token
from origin.contract.token import LICENCE, Keys, Reason, Verifier, mint
from shield.guard.tier import ShieldTier
from tests.support.nodes import node
from tests.support.upstream import says, upstream
from tests.support.wire import Answer, viewer

DAY = "public, max-age=86400"
REFUSAL = b'{"error":"refused"}\n'
TITLE = "/content/bbb/"
OBJECT = "/content/bbb/v1/seg-1.m4s"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    token.new_key(tmp_path / "keys", "ES256")
    return Keys.load(tmp_path / "keys")


def _texts(keys: Keys, now: float, tmp_path: Path) -> dict[Reason, str | None]:
    """A token for every reason of refusal that a viewer can bring about."""
    good = mint(keys, path=TITLE, now=now, ttl_s=60)
    token.new_key(tmp_path / "theirs", "ES256")
    return {
        Reason.MISSING: None,
        Reason.MALFORMED: "!" + good,
        Reason.BAD_SIGNATURE: good[:-2] + ("AA" if good[-2:] != "AA" else "BA"),
        Reason.EXPIRED: mint(keys, path=TITLE, now=now - 100, ttl_s=60),
        Reason.NOT_YET: mint(keys, path=TITLE, now=now + 3600, ttl_s=60),
        Reason.PATH: mint(keys, path="/content/other/", now=now, ttl_s=60),
        Reason.AUDIENCE: mint(keys, path=TITLE, now=now, ttl_s=60, audience=LICENCE),
        Reason.UNKNOWN_KEY: mint(Keys.load(tmp_path / "theirs"), path=TITLE, now=now, ttl_s=60),
    }


def _face(answer: Answer) -> tuple[int, list[str], bytes]:
    """All that a viewer can tell answers apart by, besides the id."""
    return answer.status, answer.names, answer.body


async def test_every_refusal_looks_the_same_whatever_is_behind_it(
    tmp_path: Path, keys: Keys, clock: ManualClock
) -> None:
    log = tmp_path / "access.log"
    async with (
        upstream(says(b"media", Cache_Control=DAY)) as origin,
        node(tmp_path / "cache", origin.url, tier=TokenTier(Verifier(keys)), clock=clock, access_log=str(log)) as edge,
    ):
        good = mint(keys, path=TITLE, now=clock.wall(), ttl_s=60)
        assert (await edge.get(f"/~{good}{OBJECT}")).body == b"media"
        await edge.ended("filled")
        texts = _texts(keys, clock.wall(), tmp_path)
        faces = []
        for reason, text in texts.items():
            before = edge.count("refusals_total", reason)
            mark = "" if text is None else f"/~{text}"
            faces += [_face(await edge.get(mark + path)) for path in (OBJECT, TITLE + "v1/not-there.m4s")]
            assert edge.count("refusals_total", reason) == before + 2, reason
        assert all(face == faces[0] for face in faces)
        assert (faces[0][0], faces[0][2]) == (403, REFUSAL)
        assert len(origin.calls) == 1
    lines = log.read_bytes()
    assert good.encode() not in lines
    assert not any(text.encode() in lines for text in texts.values() if text)
    reasons = [orjson.loads(line)["reason"] for line in lines.splitlines()][1:]
    assert reasons == [reason for reason in texts for _ in range(2)]


async def test_no_token_in_the_log_wherever_a_viewer_put_it(tmp_path: Path, keys: Keys, clock: ManualClock) -> None:
    log = tmp_path / "access.log"
    good = mint(keys, path=TITLE, now=clock.wall(), ttl_s=60)
    async with node(
        tmp_path / "cache", "http://127.0.0.1:1", tier=TokenTier(Verifier(keys)), clock=clock, access_log=str(log)
    ) as edge:
        misplaced = (f"/%7E{good}{OBJECT}", f"//~{good}{OBJECT}", f"{OBJECT}?token={good}", f"/x/~{good}", f"/{good}/a")
        for target in (*misplaced, f"/~{good}{OBJECT}?a={good}", f"/~{good}", f"/~{'x' * 900}{good}{OBJECT}"):
            await edge.get(target)
    assert len(log.read_bytes().splitlines()) == 8
    assert good.encode()[:100] not in log.read_bytes()


async def test_the_token_is_in_neither_key_nor_upstream_request(tmp_path: Path, keys: Keys, clock: ManualClock) -> None:
    async with (
        upstream(says(b"media", Cache_Control=DAY)) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        for _ in range(2):
            text = mint(keys, path=TITLE, now=clock.wall(), ttl_s=60)
            got = await edge.get(f"/~{text}{OBJECT}", Cookie="a=b", Authorization="c", Headrace_Node="d")
            await edge.ended("filled")
        assert "; hit" in got.cache
        (call,) = origin.calls
        assert call.target == OBJECT
        assert {name.lower() for name, _ in call.fields} <= {"cdn-loop", "host", "via", "x-request-id"}


@pytest.mark.parametrize(
    "path", ["/content/bbb/../other/x", "/content/bbb/%2e%2e/x", "/content/bbb//x", "/content/bbb/%2Fx"]
)
async def test_a_path_that_two_servers_could_read_differently_is_refused(
    tmp_path: Path, keys: Keys, clock: ManualClock, path: str
) -> None:
    async with node(tmp_path, "http://127.0.0.1:1", tier=TokenTier(Verifier(keys)), clock=clock) as edge:
        text = mint(keys, path=TITLE, now=clock.wall(), ttl_s=60)
        assert (await edge.get(f"/~{text}{path}")).status == 400


async def test_preflight_and_cors(tmp_path: Path, keys: Keys, clock: ManualClock) -> None:
    """contracts.md, CORS."""
    async with (
        upstream(says(b"media", Cache_Control=DAY, Access_Control_Allow_Origin="x")) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        text = mint(keys, path=TITLE, now=clock.wall(), ttl_s=60)
        preflight = await edge.get(f"/~{text}{OBJECT}", "OPTIONS")
        assert (preflight.status, preflight.field("Access-Control-Allow-Origin")) == (204, "*")
        assert "CMCD-Session" in (preflight.field("Access-Control-Allow-Headers") or "")
        for got in (await edge.get(f"/~{text}{OBJECT}"), await edge.get(OBJECT)):
            assert got.field("Access-Control-Allow-Origin") == "*"
            assert got.field("Access-Control-Expose-Headers") == "Age, Cache-Status, CMSD-Dynamic"
        refused = await edge.get(f"/~{text}{OBJECT}", "POST", b"x")
        assert (refused.status, refused.field("Allow")) == (405, "GET, HEAD, OPTIONS")


FLEET = b"f" * 32


def _shield() -> Credential:
    return issue(FLEET, "shield-1", "shield")


async def test_a_shield_serves_nodes_and_refuses_all_others_alike(tmp_path: Path, clock: ManualClock) -> None:
    """contracts.md: whoever finds a shield gets nothing."""
    now = clock.wall()
    edge = issue(FLEET, "edge-1", "edge")

    def sign(**changes: object) -> str:
        asked = {"method": "GET", "target": OBJECT, "now": now} | changes
        return edge.sign("shield", **asked)  # type: ignore[arg-type]

    values: list[bytes | None] = [
        None,
        b"",
        b"edge edge-1 1 AAAA",
        sign(now=now - WINDOW_S - 5).encode(),
        sign(now=now + WINDOW_S + 5).encode(),
        sign(target="/content/other/v1/x").encode(),
        sign(method="HEAD").encode(),
        issue(b"o" * 32, "edge-1", "edge").sign("shield", method="GET", target=OBJECT, now=now).encode(),
        sign().replace("edge-1", "edge-2").encode(),
        sign().encode() + b"\xff",
        b"edge \xff\xfe 1 \xc3\xa9",
        b"edge edge-1 " + b"9" * 5000 + b" x",
    ]
    async with (
        upstream(says(b"media", Cache_Control=DAY)) as origin,
        node(tmp_path, origin.url, tier=ShieldTier(_shield()), clock=clock) as shield,
    ):
        got = await shield.get(OBJECT, Headrace_Node=sign())
        assert got.body == b"media"
        await shield.ended("filled")
        faces = []
        for value in values:
            async with viewer(shield.port) as each:
                field = b"" if value is None else b"Headrace-Node: " + value + b"\r\n"
                await each.send(b"GET " + OBJECT.encode() + b" HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n")
                faces.append(_face(await each.answer()))
        assert all(face == faces[0] for face in faces), faces
        assert (faces[0][0], faces[0][2]) == (403, REFUSAL)
        assert shield.count("refusals_total", "node_credential") == len(values)
        (call,) = origin.calls
        assert call.field("Headrace-Node") is None


async def test_cache_status_names_both_tiers(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 9211 2: each tier adds its member behind those of the tiers before it."""
    async with (
        upstream(says(b"media", Cache_Control=DAY)) as origin,
        node(tmp_path / "s", origin.url, name="shield", clock=clock) as shield,
        node(tmp_path / "e", f"http://127.0.0.1:{shield.port}", clock=clock) as edge,
    ):
        first = await edge.get(OBJECT)
        assert first.field("Cache-Status") == (
            "shield; fwd=uri-miss; fwd-status=200; stored, edge; fwd=uri-miss; fwd-status=200; stored"
        )
        await edge.ended("filled")
        second = await edge.get(OBJECT)
        assert second.field("Cache-Status") == "edge; hit; ttl=86400"
