"""The routes that bring titles in; for operators."""

import asyncio
import importlib
from typing import Any

from aiohttp import web
from cachetools import LRUCache

from configs import profiles
from configs.schema.origin import Profile
from kit.errors import BadRequest, NotFound, SettingsError
from origin.app.api import ingest_state
from origin.app.parts import Parts
from origin.app.upload import Upload, Uploads
from origin.app.wire import answer_json
from origin.catalog.states import State
from origin.contract import urls

RECENT = 1000
"""Submissions that are remembered until a worker puts them into the catalog."""


class IngestApi:
    """Handlers. The ingest machinery (durable workflows) is loaded when first asked for: it would double the start
    time of a process that mostly serves."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._uploads = Uploads(parts.settings.state_dir / "uploads", parts.settings.upload_limit)
        self._recent: LRUCache[str, str] = LRUCache(RECENT)
        self._opening = asyncio.Lock()
        self._ingest: Any = None

    def routes(self) -> list[web.RouteDef]:
        """The route table."""
        return [web.post("/api/v1/ingest", self.submit), web.get("/api/v1/ingest/{id}", self.state)]

    async def start(self) -> None:
        """Before the first request."""
        await self._uploads.sweep()

    async def close(self) -> None:
        """After the last."""
        if self._ingest is not None:
            await self._ingest.close()

    async def submit(self, request: web.Request) -> web.Response:
        """Take a master: 202 with its names, or a refusal that leaves nothing behind (ING-02)."""
        self._parts.operators.check(request)
        async with self._uploads.receive(request) as upload:
            profile = await asyncio.to_thread(_profile, upload.texts.get("profile") or self._parts.settings.profile)
            submitted = await self._submit(upload, profile)
        self._recent[submitted.content_id] = submitted.version
        where = f"/api/v1/ingest/{submitted.content_id}"
        body = {"contentId": submitted.content_id, "version": submitted.version, "state": where}
        return answer_json(body, 202, Location=where)

    async def state(self, request: web.Request) -> web.Response:
        """How far the newest version of a title has come; until it has ended, whether a worker lives."""
        content_id = request.match_info["id"]
        title = await self._parts.catalog.title(content_id) if urls.is_id(content_id) else None
        submitted = self._recent.get(content_id)
        # A version that failed and was submitted again says so until a worker begins anew.
        begun = title is not None and title.version == submitted and title.state is not State.FAILED
        if submitted and not begun and await self._waiting(content_id, submitted):
            queued = {"version": submitted, "state": "queued", "detail": "", "progress": 0.0}
            return answer_json({"contentId": content_id} | queued | await self._attended())
        if title is None:
            raise NotFound("no such title")
        ended = title.state in (State.READY, State.FAILED)
        attended = {} if ended else await self._attended()
        return answer_json({"contentId": content_id} | ingest_state(title) | attended)

    async def _submit(self, upload: Upload, profile: Profile) -> Any:
        ingest = await self._open()
        content_id = upload.texts.get("contentId") or None
        return await ingest.submit(upload.master, upload.texts["title"], content_id, profile, upload.subtitles)

    async def _waiting(self, content_id: str, version: str) -> bool:
        service = await self._service()
        ingest = await self._open()
        return bool(await ingest.waiting(service.Submitted(content_id, version)))

    async def _attended(self) -> dict[str, bool]:
        presence = await asyncio.to_thread(importlib.import_module, "origin.ingest.presence")
        return {"worker": await asyncio.to_thread(presence.anybody, self._parts.settings.state_dir)}

    async def _open(self) -> Any:
        async with self._opening:
            if self._ingest is None:
                service = await self._service()
                self._ingest = await service.Ingest.open(self._parts.settings, self._parts.catalog)
            return self._ingest

    async def _service(self) -> Any:
        return await asyncio.to_thread(importlib.import_module, "origin.ingest.service")


def _profile(name: str) -> Profile:
    try:
        return profiles.get(name)
    except SettingsError as error:
        raise BadRequest(str(error)) from None
