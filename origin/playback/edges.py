"""Which edge a session begins at: control's answer, or what it last said."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import aiohttp
import orjson
from cachetools import LRUCache
from yarl import URL

from control.contract.credential import Credential
from kit import hashing, log
from kit.clock import Clock
from kit.errors import Overloaded
from origin.contract import headers

TIMEOUT_S = 1.0
MAX_ANSWER = 64 * 1024
TITLES = 10_000
"""Titles whose last answer is remembered."""
EDGES = 64
"""Edges that are remembered for titles that nobody asked about yet, and the most taken from one answer."""
_TARGET = "/api/v1/steering/choose"
_URL = re.compile(r"https?://[^/\s?#\"<>]+(?:/[^\s?#\"<>]*)?")


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge that players can reach; `url` has no slash at its end."""

    id: str
    url: str


class Source(StrEnum):
    """Where a choice came from: a metric's label."""

    CONTROL = "control"
    TITLE = "remembered_title"
    KNOWN = "remembered_edges"
    NONE = "none"


class NoEdge(Overloaded):
    """No edge can be named now; asking again soon may help."""

    kind: ClassVar[str] = "no_edge"


class _Away(Exception):
    """Control gave no usable answer."""


class Edges:
    """Asks control, remembers what it said, and falls back on that while control is away.

    `count` is called with the source of every choice.
    """

    def __init__(
        self,
        control: str | None,
        credential: Credential,
        session: aiohttp.ClientSession,
        clock: Clock,
        count: Callable[[Source], None],
    ) -> None:
        self._control, self._credential, self._session = control, credential, session
        self._clock, self._count = clock, count
        self._by_title: LRUCache[str, tuple[Edge, ...]] = LRUCache(TITLES)
        self._known: LRUCache[str, Edge] = LRUCache(EDGES)

    async def choose(self, client: str, content_id: str, session_id: str) -> Edge:
        """The edge for a new session of the viewer at address `client`; NoEdge when there is none."""
        try:
            edges = await self._ask({"client": client, "contentId": content_id, "sessionId": session_id})
            source = Source.CONTROL if edges else Source.NONE
        except _Away as away:
            edges, source = self._remembered(content_id)
            log.get("playback").warning("control away", reason=str(away), source=source)
        self._count(source)
        if not edges:
            raise NoEdge("no edge is available right now")
        if source is Source.CONTROL:
            self._remember(content_id, edges)
        return edges[0]

    async def _ask(self, question: dict[str, str]) -> tuple[Edge, ...]:
        if self._control is None:
            raise _Away("no control is set")
        body = orjson.dumps(question)
        url = URL(self._control + _TARGET)
        now = self._clock.wall()
        signed = self._credential.sign("control", method="POST", target=url.raw_path_qs, now=now, body=body)
        fields = {headers.NODE: signed, "Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._session.post(url, data=body, headers=fields, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise _Away(f"status {answer.status}")
                return _edges(await _whole(answer))
        except TimeoutError:
            raise _Away("no answer in time") from None
        except aiohttp.ClientError as error:
            raise _Away(type(error).__name__) from None

    def _remember(self, content_id: str, edges: tuple[Edge, ...]) -> None:
        self._by_title[content_id] = edges
        for edge in edges:
            self._known[edge.id] = edge

    def _remembered(self, content_id: str) -> tuple[tuple[Edge, ...], Source]:
        if edges := self._by_title.get(content_id):
            return edges, Source.TITLE
        if not self._known:
            return (), Source.NONE
        return tuple(self._known[each] for each in hashing.rank(content_id, list(self._known))), Source.KNOWN


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in answer.content.iter_chunked(MAX_ANSWER):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise _Away("answer too long")
    return body


def _edges(body: bytes) -> tuple[Edge, ...]:
    try:
        listed: Any = orjson.loads(body)["edges"]
        edges = tuple(Edge(str(each["id"]), str(each["url"]).rstrip("/")) for each in listed[:EDGES])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise _Away("answer not understood") from None
    if not all(_URL.fullmatch(edge.url) for edge in edges):
        raise _Away("an edge without a URL")
    return edges
