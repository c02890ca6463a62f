"""The routes of the API listener that read: health, titles, playback."""

import asyncio
from dataclasses import asdict
from typing import Any

from aiohttp import web

from kit.addresses import client_address
from kit.errors import BadRequest, HeadraceError, NotFound
from origin.app.metrics import CONTENT_TYPE
from origin.app.parts import Parts
from origin.app.wire import answer_json
from origin.catalog.models import Title
from origin.contract import urls
from origin.playback.request import MAX_BODY, OperatorPlaylist, Start, parse

READY_S = 2.0
BODY_S = 10.0


class Api:
    """Handlers; one method a route."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[web.RouteDef]:
        """The route table."""
        return [
            web.get("/health", self.health),
            web.get("/ready", self.ready),
            web.get("/metrics", self.metrics),
            web.get("/api/v1/titles", self.titles),
            web.get("/api/v1/titles/{id}", self.title),
            web.get("/api/v1/titles/{id}/assets", self.assets),
            web.post("/api/v1/playback/start", self.start),
            web.post("/api/v1/operator/playlist", self.playlist),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """The process runs."""
        parts = self._parts
        home = {"homeCountry": parts.settings.home_country}
        told = {"status": "ok", "process": "origin", "id": parts.settings.identity.id, "geo": parts.geo.health() | home}
        return answer_json(told)

    async def ready(self, _: web.Request) -> web.Response:
        """The critical part answers: the catalog."""
        try:
            async with asyncio.timeout(READY_S):
                await self._parts.catalog.ping()
        except (HeadraceError, TimeoutError) as error:
            return answer_json({"ready": False, "catalog": type(error).__name__}, 503, **{"Retry-After": "1"})
        return answer_json({"ready": True, "catalog": "ok"})

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus text."""
        return web.Response(body=self._parts.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def titles(self, _: web.Request) -> web.Response:
        """Every title, newest first, at most 1000."""
        return answer_json({"titles": [describe(each) for each in await self._parts.catalog.titles()]})

    async def title(self, request: web.Request) -> web.Response:
        """One title."""
        return answer_json(describe(await self._title(request)))

    async def assets(self, request: web.Request) -> web.Response:
        """Name, size and digest of every file of the current version; operators only."""
        self._parts.operators.check(request)
        title = await self._title(request)
        published = await self._parts.catalog.published(title.content_id, title.current) if title.current else None
        if published is None:
            raise NotFound(f"{title.content_id} has no published version")
        listed = [
            {"name": a.name, "size": a.size, "sha256": a.digest, "kind": a.kind, "contentType": a.content_type}
            for a in sorted(published.assets.values(), key=lambda each: each.name)
        ]
        return answer_json({"contentId": title.content_id, "version": published.version, "assets": listed})

    async def start(self, request: web.Request) -> web.Response:
        """Start a session (CDN-04)."""
        wanted = parse(Start, await read_body(request))
        return await self._start(request, wanted)

    async def playlist(self, request: web.Request) -> web.Response:
        """The same for an operator: a signed playlist to hand to curl, ffplay or VLC."""
        self._parts.operators.check(request)
        wanted = parse(OperatorPlaylist, await read_body(request))
        return await self._start(request, wanted)

    async def _start(self, request: web.Request, wanted: Start | OperatorPlaylist) -> web.Response:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        client = client_address(request.remote or "", forwarded, self._parts.trusted)
        session = await self._parts.playback.start(wanted.content_id, client=client, format=wanted.format)
        return answer_json(session.as_json())

    async def _title(self, request: web.Request) -> Title:
        content_id = request.match_info["id"]
        title = await self._parts.catalog.title(content_id) if urls.is_id(content_id) else None
        if title is None:
            raise NotFound("no such title")
        return title


def describe(title: Title) -> dict[str, Any]:
    """A title as the API shows it. Paths bear no token: playback/start signs them."""
    current = title.current
    return {
        "contentId": title.content_id,
        "title": title.title,
        "profile": title.profile,
        "status": title.status,
        "version": current,
        "hls": urls.asset_path(title.content_id, current, urls.MASTER_HLS) if current else None,
        "dash": urls.asset_path(title.content_id, current, urls.MASTER_DASH) if current else None,
        "durationS": title.duration_s,
        "masterResolution": title.master_resolution,
        "rungs": [asdict(rung) for rung in title.rungs],
        "ingest": ingest_state(title),
    }


def ingest_state(title: Title) -> dict[str, Any]:
    """How far the newest version has come; `progress` is 0..1."""
    return {
        "version": title.version,
        "state": title.state,
        "detail": title.detail,
        "progress": round(title.progress, 4),
    }


async def read_body(request: web.Request) -> bytes:
    """The body of a small JSON request. BadRequest when it is too large or does not come in time."""
    if (request.content_length or 0) > MAX_BODY:
        raise BadRequest(f"the body is larger than {MAX_BODY} bytes")
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.content.read(MAX_BODY + 1)
            while len(body) <= MAX_BODY and (more := await request.content.read(MAX_BODY + 1)):
                body += more
    except TimeoutError:
        raise BadRequest("the body did not arrive in time") from None
    if len(body) > MAX_BODY:
        raise BadRequest(f"the body is larger than {MAX_BODY} bytes")
    return body
