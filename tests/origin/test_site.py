"""The pages: plain files of this origin, no outside network, no inline script."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from origin.app import wire
from origin.app.metrics import Metrics
from origin.app.site import _PLAYERS, Site

PAGES = sorted(Path("origin/app/pages").iterdir())


async def client_of(players: Path | None) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = wire.application("api", Metrics())
    app.add_routes(Site(players).routes())
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """The site with stand-ins for the player libraries."""
    for name in _PLAYERS.values():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"// {name}")
    async for each in client_of(tmp_path):
        yield each


@pytest.mark.parametrize("path", ["/", "/watch/bbb"])
async def test_a_page_loads_only_what_is_there(client: TestClient[web.Request, web.Application], path: str) -> None:
    async with client.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        policy = answer.headers["Content-Security-Policy"]
        text = await answer.text()
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    wanted = re.findall(r'(?:src|href)="(/[^"]+)"', text)
    assert wanted
    for each in wanted:
        async with client.get(each) as answer:
            assert answer.status == 200, each


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_a_file_names_no_other_host_and_runs_nothing_inline(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"https?://", text)
    if file.suffix == ".html":
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style|<script(?![^>]*src=)", text)
    for imported in re.findall(r'from "/static/([^"]+)"', text):
        assert (file.parent / imported).is_file()


async def test_files_are_revalidated(client: TestClient[web.Request, web.Application]) -> None:
    async with client.get("/players/hls.js") as answer:
        etag = answer.headers["ETag"]
        assert (answer.content_type, answer.headers["Cache-Control"]) == ("text/javascript", "no-cache")
    async with client.get("/players/hls.js", headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/watch/A", "/static/index.html", "/static/..%2fmain.py", "/static/none.js", "/players/x.js"]
)
async def test_nothing_else_is_served(client: TestClient[web.Request, web.Application], path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404


async def test_without_libraries_the_answer_says_what_to_do() -> None:
    async for client in client_of(None):
        async with client.get("/players/shaka.js") as answer:
            assert answer.status == 404
            assert "make demo" in (await answer.json())["message"]
