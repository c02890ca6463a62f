"""The stream of figures (server-sent events): each section again when it has changed."""

import asyncio
import contextlib

import orjson
from aiohttp import web

from control.admin.errors import NoCredential
from control.admin.roles import Principal
from control.console.figures import Figures
from control.console.login import Login
from control.console.sections import SECTIONS
from kit.errors import Overloaded

EVERY_S = 1.0
SILENCE_S = 15.0
"""Something is sent at least so often, so that both sides notice a dead connection."""
WRITE_S = 10.0
"""Who does not read for so long is let go."""
WATCHERS = 64
"""Streams at a time at most."""


class Events:
    """One per process; `end` lets all streams go."""

    def __init__(self, login: Login, figures: Figures) -> None:
        self._login, self._figures = login, figures
        self._over = asyncio.Event()
        self.watchers = 0

    def routes(self) -> list[web.RouteDef]:
        """The stream."""
        return [web.get("/events", self._serve)]

    async def end(self, _: web.Application) -> None:
        """Streams would hold the drain up."""
        self._over.set()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await self._login.who(request)
        if self.watchers >= WATCHERS:
            raise Overloaded(f"{WATCHERS} watch already")
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        self.watchers += 1
        try:
            await response.prepare(request)
            with contextlib.suppress(NoCredential, ConnectionError, TimeoutError):
                await self._stream(request, response)
        finally:
            self.watchers -= 1
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse) -> None:
        sent: dict[str, str] = {}
        silent = 0.0
        while not self._over.is_set():
            who = await self._login.who(request)
            changed = await self._changed(sent, who)
            silent = 0.0 if changed else silent + EVERY_S
            if changed or silent >= SILENCE_S:
                silent = 0.0
                async with asyncio.timeout(WRITE_S):
                    await response.write(b"data: " + orjson.dumps(changed) + b"\n\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._over.wait()

    async def _changed(self, sent: dict[str, str], who: Principal) -> dict[str, str]:
        """The sections that are not as they were sent; noted as sent."""
        picture = await self._figures.now()
        changed = {name: html for name, render in SECTIONS.items() if sent.get(name) != (html := render(picture, who))}
        sent |= changed
        return dict(changed)
