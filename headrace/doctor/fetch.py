"""Fetching through an edge as a player does, noting what came and where from."""

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp
import m3u8
from yarl import URL

from kit.errors import UpstreamFailed

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=3, sock_read=20)
_HIT = re.compile(r";\s*hit\b")


@dataclass(frozen=True, slots=True)
class Visit:
    """One file as it came. `hit`: the edge had it."""

    url: str
    status: int
    size: int
    sha256: str
    seconds: float
    hit: bool
    cache_status: str
    etag: str
    own: bool = False
    """Made for this session alone: a master with its pathways and its cap."""
    body: bytes = b""


class Fetcher:
    """At most `parallel` requests at once, as a greedy player."""

    def __init__(self, session: aiohttp.ClientSession, parallel: int = 6) -> None:
        self._session = session
        self._gate = asyncio.Semaphore(parallel)

    async def get(
        self, url: str, *, keep: bool = False, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Visit:
        """Fetch one URL; its bytes are kept only when wanted. UpstreamFailed when the edge does not answer."""
        async with self._gate:
            began = time.perf_counter()
            digest, size, kept = hashlib.sha256(), 0, bytearray()
            try:
                async with self._session.request(
                    method, URL(url, encoded=True), headers=headers, timeout=_TIMEOUT
                ) as response:
                    async for piece in response.content.iter_any():
                        digest.update(piece)
                        size += len(piece)
                        kept += piece if keep else b""
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                raise UpstreamFailed(f"{url}: {type(error).__name__} {error}") from None
            status = response.headers.get("Cache-Status", "")
            return Visit(
                url=url,
                status=response.status,
                size=size,
                sha256=digest.hexdigest(),
                seconds=time.perf_counter() - began,
                hit=bool(_HIT.search(status.rpartition(",")[2])),
                cache_status=status,
                etag=response.headers.get("ETag", ""),
                own="private" in response.headers.get("Cache-Control", ""),
                body=bytes(kept),
            )


async def walk_hls(fetcher: Fetcher, master_url: str) -> list[Visit]:
    """The master playlist and everything that it leads to: every rung, every rendition, every segment."""
    master = await fetcher.get(master_url, keep=True)
    playlists = [urljoin(master_url, uri) for uri in _playlists(master)]
    fetched = await asyncio.gather(*(fetcher.get(url, keep=True) for url in playlists))
    segments = dict.fromkeys(url for playlist in fetched for url in _segments(playlist))
    visits = await asyncio.gather(*(fetcher.get(url) for url in segments))
    return [master, *fetched, *visits]


def _playlists(master: Visit) -> list[str]:
    if master.status != 200:
        return []
    parsed = m3u8.loads(master.body.decode())
    uris = [playlist.uri for playlist in parsed.playlists] + [media.uri for media in parsed.media if media.uri]
    uris += [playlist.uri for playlist in parsed.iframe_playlists]
    return list(dict.fromkeys(uris))


def _segments(playlist: Visit) -> list[str]:
    if playlist.status != 200:
        return []
    parsed = m3u8.loads(playlist.body.decode())
    uris = [each.uri for each in parsed.segment_map if each] + [each.uri for each in parsed.segments]
    return [urljoin(playlist.url, uri) for uri in uris]
