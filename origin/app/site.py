"""The pages: the list of titles, the watch page and what it loads. Everything comes from this listener."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from kit import log
from kit.errors import HeadraceError, NotFound
from origin.contract import urls

_PAGES = Path(__file__).parent / "pages"
_PLAYERS = {
    "hls.js": "hls.js/dist/hls.min.js",
    "dash.js": "dashjs/dist/modern/umd/dash.all.min.js",
    "shaka.js": "shaka-player/dist/shaka-player.compiled.js",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src *",  # edges have addresses of their own, chosen at play time
        "media-src blob: data: *",  # shaka keeps native subtitle tracks in an empty data: file
        "worker-src 'self' blob:",  # hls.js transmuxes in a worker made from a blob
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of every page."""


class PlayersMissing(HeadraceError):
    """The player libraries were not installed."""

    kind = "players_missing"
    status = 404


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    content_type: str
    etag: str


class Site:
    """Files read once at the start (a few hundred KB each), answered from memory."""

    def __init__(self, players_dir: Path | None) -> None:
        self._players = _load_players(players_dir)
        self._files = {path.name: _load(path) for path in sorted(_PAGES.iterdir()) if path.suffix in _TYPES}

    def routes(self) -> list[web.RouteDef]:
        """The route table."""
        return [
            web.get("/", self._page("index.html")),
            web.get("/watch/{id}", self.watch),
            web.get("/static/{name}", self.static),
            web.get("/players/{name}", self.player),
        ]

    async def watch(self, request: web.Request) -> web.Response:
        """The watch page; the title is in its address, the script reads it from there."""
        if not urls.is_id(request.match_info["id"]):
            raise NotFound("no such title")
        return _answer(request, self._files["watch.html"])

    async def static(self, request: web.Request) -> web.Response:
        """Scripts and styles of the pages."""
        found = self._files.get(request.match_info["name"])
        if found is None or found.content_type == "text/html":
            raise NotFound("no such file")
        return _answer(request, found)

    async def player(self, request: web.Request) -> web.Response:
        """hls.js, dash.js or shaka-player, as installed."""
        name = request.match_info["name"]
        if name not in _PLAYERS:
            raise NotFound("no such player")
        if name not in self._players:
            raise PlayersMissing("the player libraries are not installed here: `make demo` installs them")
        return _answer(request, self._players[name])

    def _page(self, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            return _answer(request, self._files[name])

        return handler


def _load_players(folder: Path | None) -> dict[str, _File]:
    if folder is None:
        return {}
    found = {name: folder / path for name, path in _PLAYERS.items()}
    missing = [str(path) for path in found.values() if not path.is_file()]
    if missing:
        log.get("site").warning("player libraries missing", files=missing)
    return {name: _load(path) for name, path in found.items() if path.is_file()}


def _load(path: Path) -> _File:
    body = path.read_bytes()
    return _File(body, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _answer(request: web.Request, file: _File) -> web.Response:
    fields = {
        "ETag": file.etag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    if request.headers.get("If-None-Match") == file.etag:
        return web.Response(status=304, headers=fields)
    return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=fields)
