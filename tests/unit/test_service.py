"""Serving aiohttp applications until told to stop, then draining (kit.service)."""

import asyncio
import os
import signal

import aiohttp
import pytest
from aiohttp import web

from kit.errors import SettingsError
from kit.service import listening, serve


async def test_listening_resolves_the_port_and_drains_what_is_under_way() -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        began.set()
        await go.wait()
        return web.Response(text="whole")

    app = web.Application()
    app.add_routes([web.get("/slow", slow)])
    async with aiohttp.ClientSession() as session:

        async def ask(url: str) -> str:
            async with session.get(f"{url}/slow") as answer:
                return await answer.text()

        async with listening(app, "127.0.0.1", 0, drain_s=5.0) as url:
            assert not url.endswith(":0")
            asked = asyncio.create_task(ask(url))
            await began.wait()
            asyncio.get_running_loop().call_later(0.05, go.set)
        assert await asked == "whole"


async def test_serve_tells_its_urls_and_ends_on_sigterm() -> None:
    told: list[str] = []

    async def ready(urls: list[str]) -> None:
        told.extend(urls)
        async with aiohttp.ClientSession() as session, session.get(urls[1]) as answer:
            assert answer.status == 404
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        async with asyncio.timeout(5):
            sites = ((web.Application(), "127.0.0.1", 0), (web.Application(), "127.0.0.1", 0))
            await serve(*sites, drain_s=0.1, ready=ready)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
    assert len(told) == 2


async def test_an_address_that_is_taken_is_said_in_one_line() -> None:
    async with listening(web.Application(), "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port}: address already in use"):
            async with listening(web.Application(), "127.0.0.1", port):
                raise AssertionError("two listeners on one port")
