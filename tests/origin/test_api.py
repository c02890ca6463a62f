"""Titles, health, metrics and who may see what."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from configs.delivery import classes
from kit import log
from kit.errors import SettingsError
from origin.app.operators import Operators
from origin.contract.headers import REFUSAL_BODY
from tests.origin.conftest import Running
from tests.origin.installation import BEARER, FILES, OPERATOR


async def test_titles(origin: Running) -> None:
    async with origin.api.get("/api/v1/titles") as answer:
        listed = (await answer.json())["titles"]
    async with origin.api.get("/api/v1/titles/bbb") as answer:
        assert await answer.json() == listed[0]
        assert answer.headers["Cache-Control"] == "no-store"
    assert listed == [
        {
            "contentId": "bbb",
            "title": "Big Buck Bunny",
            "profile": "demo",
            "status": "ready",
            "version": "v1",
            "hls": "/content/bbb/v1/master.m3u8",
            "dash": "/content/bbb/v1/manifest.mpd",
            "durationS": 120.0,
            "masterResolution": None,
            "rungs": [{"name": "v720", "height": 720, "width": 1280, "codec": "avc1.64001f", "kbps": 2400}],
            "ingest": {"version": "v1", "state": "ready", "detail": "", "progress": 1.0},
        }
    ]
    for path in ("none", "..%2f", "BBB"):
        async with origin.api.get(f"/api/v1/titles/{path}") as answer:
            assert answer.status == 404
            assert (await answer.json())["error"] == "not_found"


async def test_a_body_that_is_not_what_it_says_is_the_sender_s_fault(origin: Running) -> None:
    fields = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with origin.api.post("/api/v1/playback/start", data=b"junk" * 50, headers=fields) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "bad_request")


async def test_a_fault_of_ours_is_logged_without_any_secret(
    origin: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A trace has places, no variables: those of a handler hold tokens and keys (T-035)."""
    said: list[dict] = []
    structlog.configure(processors=[lambda _logger, _name, event: said.append(dict(event)) or str(event)])
    token = "a-token-that-must-not-show"
    monkeypatch.setattr(Operators, "check", lambda _self, request: _fail(request.headers["Authorization"]))
    async with origin.api.get("/api/v1/titles/bbb/assets", headers={"Authorization": token}) as answer:
        assert answer.status == 500
        assert "test_api" not in await answer.text()
    structlog.reset_defaults()
    failed = [each for each in said if each["event"] == "request failed"]
    assert "_fail" in failed[0]["trace"]
    assert "exc_info" not in failed[0]
    assert token not in str(said)


def _fail(secret: str) -> None:
    raise RuntimeError(f"{len(secret)} characters")


async def test_assets_are_for_operators(origin: Running) -> None:
    async with origin.api.get("/api/v1/titles/bbb/assets", headers=BEARER) as answer:
        found = await answer.json()
    assert found["version"] == "v1"
    assert {a["name"]: (a["size"], a["sha256"]) for a in found["assets"]} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, (_, _, data) in FILES.items()
    }


@pytest.mark.parametrize(
    "value", [None, "", "Bearer", "Bearer x", f"Basic {OPERATOR}", f"Bearer {OPERATOR}x", f"Bearer {OPERATOR[:-1]}"]
)
async def test_whoever_is_no_operator_gets_the_one_refusal(origin: Running, value: str | None) -> None:
    fields = {} if value is None else {"Authorization": value}
    for method, path in (
        ("GET", "/api/v1/titles/bbb/assets"),
        ("GET", "/api/v1/titles/none/assets"),
        ("POST", "/api/v1/ingest"),
        ("POST", "/api/v1/operator/playlist"),
    ):
        async with origin.api.request(method, path, headers=fields) as answer:
            assert (answer.status, await answer.read()) == (403, REFUSAL_BODY)


async def test_health_ready_metrics(origin: Running) -> None:
    async with origin.api.get("/health") as answer:
        assert (await answer.json())["status"] == "ok"
    async with origin.api.get("/ready") as answer:
        assert (answer.status, (await answer.json())["catalog"]) == (200, "ok")
    async with origin.api.get("/metrics") as answer:
        text = await answer.text()
    assert 'headrace_origin_requests_total{listener="api",status="2xx"} 2.0' in text


async def test_unknown_paths_and_methods_are_json_errors(origin: Running) -> None:
    async with origin.api.get("/nope", headers={"X-Request-ID": "r-1"}) as answer:
        assert await answer.json() == {"error": "not_found", "message": "Not Found", "requestId": "r-1"}
    async with origin.api.get("/api/v1/playback/start") as answer:
        assert (answer.status, (await answer.json())["error"]) == (405, "method_not_allowed")


@pytest.fixture
def restored_log() -> Iterator[None]:
    """Takes back at the end what log.setup did."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


async def test_one_log_line_a_request(restored_log: None, origin: Running, capfd: pytest.CaptureFixture[str]) -> None:
    log.setup("origin")
    async with origin.api.get("/api/v1/titles?token=secret", headers={"X-Request-ID": "r-2"}) as answer:
        await answer.read()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if '"r-2"' in line]
    assert len(lines) == 1
    line = lines[0]
    assert (line["room"], line["path"], line["status"]) == ("api", "/api/v1/titles", 200)
    assert line["bytes"] > 100
    assert "secret" not in json.dumps(line), "T-035"


def test_the_shipped_cache_policies_are_whole() -> None:
    assert classes().cache_control("segment") == "public, max-age=31536000, immutable"
    with pytest.raises(KeyError):
        classes().cache_control("model_fields")


def test_a_short_operator_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("short\n")
    for file in (tmp_path / "t", tmp_path / "none"):
        with pytest.raises(SettingsError):
            Operators.load(file)


async def test_a_log_that_cannot_be_written_holds_up_no_answer(restored_log: None, origin: Running) -> None:
    log.setup("origin")
    with open("/dev/full", "wb", buffering=0) as full:
        structlog.configure(logger_factory=structlog.BytesLoggerFactory(full))
        async with asyncio.timeout(5), origin.api.get("/health") as answer:
            assert answer.status == 200
