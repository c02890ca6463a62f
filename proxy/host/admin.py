"""A node's own endpoints, on their own address (contracts.md): /health, /ready, /metrics, /purge."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lmdb
from aiohttp import web

from kit.errors import BadRequest, HeadraceError, Overloaded, Refused, SettingsError
from kit.metrics import Board
from proxy.http import target as targets
from proxy.rules.key import cache_key
from proxy.store.keepers import Keepers
from proxy.store.purge import Purge, Purged

MAX_BODY = 64 * 1024
PURGE_S = 60.0
_LEAST_TOKEN = 16


def application(
    health: Callable[[], dict[str, Any]], ready: Callable[[], bool], metrics: Callable[[], str], purging: "Purging"
) -> web.Application:
    """The application; its parts are read at each request."""

    async def show_health(_: web.Request) -> web.Response:
        return web.json_response(health())

    async def show_ready(_: web.Request) -> web.Response:
        whole = ready()
        return web.json_response({"ready": whole}, status=200 if whole else 503)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(text=metrics(), content_type="text/plain")

    app = web.Application(client_max_size=MAX_BODY)
    app.add_routes(
        [
            web.get("/health", show_health),
            web.get("/ready", show_ready),
            web.get("/metrics", show_metrics),
            web.post("/purge", purging.handle),
        ]
    )
    return app


class Purging:
    """POST /purge {"url" | "prefix" | "tag": TEXT, "soft": false}, with the operators' bearer token."""

    def __init__(self, keeper: Keepers, authority: str, token: str | None) -> None:
        """`authority` is that of the node's keys; `token` None refuses everybody."""
        self._keeper, self._authority, self._token = keeper, authority, token

    async def handle(self, request: web.Request) -> web.Response:
        """Answers {"objects", "seconds"} when all is done on this node."""
        try:
            self._admit(request)
            purged = asdict(await done(self._keeper, parse(await _document(request), self._authority), PURGE_S))
        except HeadraceError as error:
            words = (
                {"error": error.kind} if isinstance(error, Refused) else {"error": error.kind, "message": str(error)}
            )
            return web.json_response(words, status=error.status)
        return web.json_response(purged)

    def _admit(self, request: web.Request) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            raise Refused("no operator")
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token.encode()):
            raise Refused("wrong operator token")


async def done(keeper: Keepers, purge: Purge, seconds: float) -> Purged:
    """The purge, done on this node. Overloaded when it is not within `seconds`, or cannot be now."""
    try:
        async with asyncio.timeout(seconds):
            return await keeper.purge(purge)
    except TimeoutError:
        raise Overloaded(f"the purge was not done within {seconds:.0f} s; it goes on") from None
    except (OSError, lmdb.Error) as error:
        raise Overloaded(f"the cache's disk refused: {error}") from None
    except asyncio.CancelledError:
        if keeper.alive:
            raise
        raise Overloaded("the keeper of the cache is not running") from None


def parse(document: Any, authority: str) -> Purge:
    """What a request asks for. A `url` or `prefix` is a path (with query) on this node's authority."""
    if not isinstance(document, dict) or set(document) - {"url", "prefix", "tag", "soft"}:
        raise BadRequest("give one of url, prefix, tag; and soft, if it is to be")
    named = [name for name in ("url", "prefix", "tag") if name in document]
    soft = document.get("soft", False)
    if len(named) != 1 or not isinstance(soft, bool):
        raise BadRequest("give exactly one of url, prefix, tag; soft is true or false")
    text = document[named[0]]
    if not isinstance(text, str) or not 1 <= len(text) <= targets.MAX_TARGET:
        raise BadRequest(f"{named[0]} is a text of 1 to {targets.MAX_TARGET} characters")
    if named[0] == "tag":
        return Purge("tag", text, soft)
    targets.check(text)
    return Purge("key" if named[0] == "url" else "prefix", cache_key(authority, text), soft)


def read_token(file: Path | None) -> str | None:
    """The operators' token; SettingsError when the file is unreadable, short, or open to others."""
    if file is None:
        return None
    try:
        mode, token = file.stat().st_mode, file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"`admin_token_file`: {error}") from None
    if len(token) < _LEAST_TOKEN:
        raise SettingsError(f"`admin_token_file`: {file}: a token has at least {_LEAST_TOKEN} characters")
    if mode & 0o077:
        raise SettingsError(f"`admin_token_file`: {file}: others may read it; its mode must be 600")
    return token


def answers(board: Board) -> tuple[int, int, int, int]:
    """All answers, those from the cache, those from upstream and 5xx, since the node started."""
    hits = sum(board.total("headrace_responses_total", how) for how in ("hit", "stale", "revalidated"))
    misses = sum(board.total("headrace_responses_total", how) for how in ("miss", "collapsed", "pass"))
    return board.overall("headrace_status_total"), hits, misses, board.total("headrace_status_total", "5xx")


def render(board: Board, labels: dict[str, str]) -> str:
    """All metrics of the node, with the names that the seeds use as aliases (OBS-07)."""
    _, hits, misses, _ = answers(board)
    inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
    aliases = (
        "# HELP cdn_cache_hits_total Answers from this cache\n# TYPE cdn_cache_hits_total counter\n"
        f"cdn_cache_hits_total{{{inside}}} {hits}\n"
        "# HELP cdn_cache_misses_total Answers from upstream\n# TYPE cdn_cache_misses_total counter\n"
        f"cdn_cache_misses_total{{{inside}}} {misses}\n"
    )
    return board.render(**labels) + aliases


async def _document(request: web.Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError):
        raise BadRequest("the body is no JSON document") from None
