"""The operators' listener: who may see it, what it shows, and the page in a real browser."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from configs.load import load
from configs.schema.control import ControlSettings
from control.admin.access import read_token
from control.admin.endpoint import PREFIX
from control.admin.parts import administering
from control.admin.roster import state
from control.api import bodies
from control.console.app import admin_app
from control.main import building
from control.steering.choose import Policy
from kit.clock import SystemClock
from kit.errors import SettingsError
from kit.service import listening
from tests.control.support import NOW, node, report, until
from tests.support.browser import chromium

TOKEN = "operators-token-of-this-test"
NODES_PATH = f"{PREFIX}/nodes"


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator:
    settings = ControlSettings(fleet_key_file=tmp_path / "fleet", expiry_s=60)
    async with building(settings, SystemClock()) as service:
        yield service


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (node("a"), "ok"),
        (node("a", 80), "busy"),
        (node("a", 95), "full"),
        (node("a", draining=True), "draining"),
        (node("a", reserve=True), "reserve"),
        (node("a", seen=NOW - 3), "silent"),
        (node("a", seen=NOW - 3, held=True), "held"),
    ],
)
def test_one_word_for_how_a_node_stands(row, word: str) -> None:
    assert state(row, NOW, Policy(next={})) == word


async def test_the_token_opens_the_listener(parts) -> None:
    await parts.registry.beat("edge-1", report(region="default"))
    async with (
        administering(parts, TOKEN) as admin,
        listening(admin_app(admin), "127.0.0.1", 0, drain_s=1) as url,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        for bearer in ("", "Bearer wrong", TOKEN):
            async with session.get(url + NODES_PATH, headers={"Authorization": bearer}) as response:
                assert response.status == 401
        async with session.get(url + NODES_PATH, headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            assert [each["id"] for each in (await response.json())["nodes"]] == ["edge-1"]
        async with session.get(url + "/") as response:
            assert response.url.path == "/login"
        async with session.post(url + "/login", data={"token": "wrong"}) as response:
            assert response.status == 403
        async with session.post(url + "/login", data={"token": TOKEN}) as response:
            assert response.url.path == "/"
            assert "edge-1" in await response.text()


async def test_without_a_token_a_foreign_host_name_is_refused(parts) -> None:
    """A page elsewhere that rebinds its name to loopback gets nothing."""
    async with (
        administering(parts, None) as admin,
        listening(admin_app(admin), "127.0.0.1", 0, drain_s=1) as url,
        aiohttp.ClientSession() as s,
    ):
        for host, status in (("evil.test", 401), ("localhost", 200)):
            async with s.get(url + NODES_PATH, headers={"Host": host}) as response:
                assert response.status == status


HEAD = "{} HTTP/1.1\r\nConnection: close\r\n{}\r\n"
FORM = "Host: localhost\r\nContent-Type: {}\r\nContent-Length: {}\r\n"


@pytest.mark.parametrize(
    ("start", "fields", "body"),
    [
        ("GET /", "Host: a:b:c\r\n", b""),
        ("GET /", "Host: x:99999999\r\n", b""),
        ("GET /", "Host: localhost\r\nAuthorization: Bearer \xff\r\n", b""),
        ("GET /", "Host: localhost\r\nCookie: headrace_console=\xff\r\n", b""),
        ("POST /login", FORM.format("application/x-www-form-urlencoded; charset=foo", 7), b"token=x"),
        ("POST /login", FORM.format("application/x-www-form-urlencoded", 10), b"token=%ff\xff"),
        ("POST /login", FORM.format("multipart/form-data", 7), b"token=x"),
        ("POST /login", FORM.format("multipart/form-data; boundary=x", 12), b"--x\r\nfoo\r\n\r\n"),
        ("POST /login", FORM.format("a/b\r\nContent-Encoding: gzip", 4), b"junk"),
        ("POST /login", FORM.format("application/x-www-form-urlencoded", 100), b"half"),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_viewer_s_mistake_is_a_4xx_in_bounded_time(
    parts, monkeypatch: pytest.MonkeyPatch, start: str, fields: str, body: bytes, token: str | None
) -> None:
    """A console that answers junk with 500 fills its log with traces for whoever asks."""
    monkeypatch.setattr(bodies, "BODY_S", 0.2)
    async with (
        administering(parts, token) as admin,
        listening(admin_app(admin), "127.0.0.1", 0, drain_s=1) as url,
        asyncio.timeout(5),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(HEAD.format(start, fields).encode("latin-1") + body)
        status = int((await reader.readline()).split()[1])
        writer.write(bytes(100))  # what is missing of a half body: the server waits for it a while
        await reader.read()
        writer.close()
        await writer.wait_closed()
    assert status < 500
    assert not parts.metrics.errors.labels("error")._value.get()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"admin": "0.0.0.0:8101"}, "admin_token_file"),
        ({"default_region": "mars"}, "no such region: mars"),
        ({"regions": {"default": {"next": ["mars"]}}}, "no such region: mars"),
        ({"regions": {"default": {"networks": ["10.0.0.1/8"]}}}, "host bits"),
        ({"bands": [95, 90]}, "bands"),
        ({"redis_url": "http://x"}, "redis_url"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load(ControlSettings, process="control", environment={}, flags={"fleet_key_file": "x"} | change)


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("short")
    with pytest.raises(SettingsError, match="at least 16"):
        read_token(tmp_path / "t")


@pytest.mark.browser
async def test_the_page_shows_nodes_live_by_keyboard_narrow_and_dark(parts, tmp_path: Path) -> None:
    await parts.registry.beat("edge-1", report(region="default", connections=12, egress_mbps=31.5))
    await parts.registry.beat("edge-2", report(85, region="default"))
    await parts.registry.beat("edge-3", report(region="default", draining=True))
    shots = Path(os.environ.get("HEADRACE_SHOTS", tmp_path))
    async with (
        administering(parts, TOKEN) as admin,
        listening(admin_app(admin), "127.0.0.1", 0, drain_s=1) as url,
        chromium() as browser,
    ):
        page = await browser.new_page(viewport={"width": 1100, "height": 900})
        asked, mistakes = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda line: mistakes.append(line.text) if line.type == "error" else None)
        await page.goto(url)
        await page.locator("#token:focus").wait_for()  # autofocus comes a moment after the page
        await page.keyboard.type(TOKEN)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#live:text('Live.')")
        rows = await page.locator("#nodes tbody tr").all_inner_texts()
        assert [row.split("\t")[1] for row in rows] == ["● ok", "▲ busy", "▽ draining"]
        await page.screenshot(path=shots / "light.png", full_page=True)
        await page.focus("#do-nodes-drain-edge-1")
        await parts.registry.beat("edge-4", report(region="default", reserve=True))
        await page.wait_for_selector("#nodes b:text('edge-4')")
        assert await page.evaluate("document.activeElement.id") == "do-nodes-drain-edge-1"
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 360, "height": 640})
        await page.screenshot(path=shots / "narrow.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    assert mistakes == []
    assert all(each.startswith((url, "data:")) for each in asked)


@pytest.mark.processes
async def test_the_process_starts_serves_and_drains(tmp_path: Path) -> None:
    """`python -m control.main --config FILE`: ready line, health on both listeners, SIGTERM ends it with 0."""
    config = tmp_path / "control.toml"
    config.write_text(f'listen = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nfleet_key_file = "{tmp_path / "fleet"}"\n')
    command = [sys.executable, "-m", "control.main", "--config", str(config)]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        found: list[str] = []

        def urls() -> list[str]:
            lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.endswith("}")]
            found[:] = next((line["urls"] for line in lines if line["event"] == "listening"), [])
            return found

        try:
            await until(urls, deadline_s=20)
            async with aiohttp.ClientSession() as session:
                for url in found:
                    async with session.get(url + "/health") as response:
                        assert (await response.json())["process"] == "control"
        finally:
            process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(process.wait, 15)
    assert code == 0


def test_a_wrong_setting_ends_with_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('fleet_key = "x"\n')
    command = [sys.executable, "-m", "control.main", "--config", str(tmp_path / "c.toml")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert "did you mean `fleet_key_file`?" in ended.stderr
