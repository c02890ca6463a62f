"""Bringing a master in over HTTP: refused with one line and nothing left, or queued (ING-02)."""

import asyncio
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from origin.app.main import applications
from origin.app.parts import database_url
from origin.catalog.service import Catalog
from origin.catalog.states import State
from origin.ingest.presence import present
from tests.origin import installation
from tests.origin.conftest import Running
from tests.origin.installation import BEARER

INGEST = "/api/v1/ingest"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of picture and sound."""
    file = tmp_path_factory.mktemp("clip") / "clip.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=24:d=2"]
    sound = ["-f", "lavfi", "-i", "sine=440:d=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *picture, *sound, str(file)], check=True, timeout=60)
    return file


def form(**parts: Any) -> aiohttp.FormData:
    """A multipart body; bytes are files."""
    made = aiohttp.FormData()
    for name, value in parts.items():
        name = name.replace("_", "-")
        made.add_field(name, value, filename=f"{name}.bin" if isinstance(value, bytes) else None)
    return made


def left(origin: Running) -> list[Path]:
    """Files of uploads that are still there, taken ones not counted."""
    return [p for p in (origin.settings.state_dir / "uploads").rglob("*") if p.is_file()]


async def test_a_master_is_taken_and_queued(origin: Running, clip: Path) -> None:
    data = await asyncio.to_thread(clip.read_bytes)
    parts = form(
        title="A clip", contentId="a-clip", master=data, subtitles_en=b"WEBVTT\n\n00:00.000 --> 00:01.000\nHi\n"
    )
    async with origin.api.post(INGEST, data=parts, headers=BEARER) as answer:
        taken = await answer.json()
        assert (answer.status, taken["contentId"]) == (202, "a-clip"), taken
        where = answer.headers["Location"]
    async with origin.api.get(where) as answer:
        state = await answer.json()
    assert state == {
        "contentId": "a-clip",
        "version": taken["version"],
        "state": "queued",
        "detail": "",
        "progress": 0.0,
        "worker": False,
    }
    with present(origin.settings.state_dir):
        async with origin.api.get(where) as answer:
            assert (await answer.json())["worker"] is True
    assert left(origin) == []
    async with origin.api.post(f"{INGEST}?title=A+clip&contentId=raw", data=data, headers=BEARER) as answer:
        assert answer.status == 202
        assert (await answer.json())["contentId"] == "raw"
    assert left(origin) == []


@pytest.mark.parametrize(
    ("parts", "status", "kind"),
    [
        ({"title": "x", "master": b""}, 422, "unprocessable"),
        ({"title": "x", "master": b"this is no video"}, 422, "unprocessable"),
        ({"title": "x"}, 400, "bad_request"),
        ({"master": b"x"}, 400, "bad_request"),
        ({"title": " ", "master": b"x"}, 400, "bad_request"),
        ({"title": "x" * 2000, "master": b"x"}, 400, "bad_request"),
        ({"title": "x", "master": b"x", "profile": "none"}, 400, "bad_request"),
        ({"title": "x", "master": b"x", "other": "y"}, 400, "bad_request"),
    ],
)
async def test_what_is_refused_leaves_nothing(origin: Running, parts: dict[str, Any], status: int, kind: str) -> None:
    async with origin.api.post(INGEST, data=form(**parts), headers=BEARER) as answer:
        body = await answer.json()
        assert (answer.status, body["error"]) == (status, kind), body
        assert "\n" not in body["message"]
    assert left(origin) == []


@pytest.mark.parametrize(
    "part",
    [
        b"f" * 900_000,
        b"--x\r\nfoo\r\n\r\n",
        b"--x\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
        b"--x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b'--x\r\nContent-Disposition: form-data; name="master"\r\n\r\ncut',
    ],
)
async def test_a_malformed_multipart_body_is_the_sender_s_fault(origin: Running, part: bytes) -> None:
    fields = BEARER | {"Content-Type": "multipart/form-data; boundary=x"}
    async with origin.api.post(INGEST, data=part, headers=fields) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "bad_request")
    assert left(origin) == []


async def test_a_failed_version_that_comes_again_is_queued_until_a_worker_begins(origin: Running, clip: Path) -> None:
    """Else whoever waits for it is told the old failure at once (ING-21)."""
    data = await asyncio.to_thread(clip.read_bytes)
    where = f"{INGEST}?title=again"
    async with origin.api.post(where, data=data, headers=BEARER) as answer:
        version = (await answer.json())["version"]
    catalog = Catalog.open(database_url(origin.settings))
    source = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    await catalog.add_title("again", "again", "demo", version, source)
    await catalog.set_state("again", version, State.FAILED, "the first failure")
    await catalog.close()
    async with origin.api.post(where, data=data, headers=BEARER) as answer:
        assert (await answer.json())["version"] == version
    async with origin.api.get(f"{INGEST}/again") as answer:
        assert (await answer.json())["state"] == "queued"


async def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    settings = installation.settings(tmp_path, upload_limit=100_000)
    async with applications(settings) as apps, TestClient(TestServer(apps.api)) as api:

        async def chunks() -> Any:
            for _ in range(10):
                yield b"x" * 20_000

        for data in (b"x" * 100_001, chunks()):
            async with api.post(f"{INGEST}?title=x", data=data, headers=BEARER) as answer:
                assert (answer.status, (await answer.json())["error"]) == (413, "too_large")
        async with api.post(INGEST, data=form(title="x", master=b"x" * 100_001), headers=BEARER) as answer:
            assert answer.status == 413
    assert not [p for p in (tmp_path / "state" / "uploads").rglob("*") if p.is_file()]


async def test_a_sender_that_goes_away_leaves_nothing(origin: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.api.port)
    token = BEARER["Authorization"].encode()
    head = b"POST /api/v1/ingest?title=x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nAuthorization: " + token
    writer.write(head + b"\r\n\r\n" + b"x" * 300_000)
    async with asyncio.timeout(5):
        while not left(origin):
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        while left(origin):
            await asyncio.sleep(0.01)
    assert await reader.read() == b""


async def test_the_leftovers_of_a_dead_process_are_swept(tmp_path: Path) -> None:
    settings = installation.settings(tmp_path)
    (settings.state_dir / "uploads" / "old").mkdir(parents=True)
    (settings.state_dir / "uploads" / "old" / "master").write_bytes(b"x")
    async with applications(settings):
        assert not (settings.state_dir / "uploads").exists()
