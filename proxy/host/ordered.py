"""What orders from outside do to this node: purge, prefetch, drain, revoke. Who gives them is not known here."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from kit.errors import UpstreamFailed
from kit.published import Publisher
from proxy.host import admin
from proxy.host.supervisor import Facts
from proxy.serve.own import OWN
from proxy.store.purge import Purge

PURGE_S = 600.0
"""A purge of everything looks at every object; so long it may take."""
PATHS_AT_ONCE = 4
"""Requests of a prefetch under way at a time."""
PATH_S = 60.0
_CHUNK = 256 * 1024
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 names where a node listens, binds nothing


class Ordered:
    """One node, to be ordered about. All of it may be done twice with the same result."""

    def __init__(
        self,
        facts: Facts,
        authority: str,
        revoked: Publisher | None = None,
        purged: Callable[[str, str], None] = lambda _heard, _done: None,
    ) -> None:
        """`authority` is that of the node's keys; workers read `revoked`, None where they refuse nobody; `purged` tells
        them how far the node is with its purges."""
        self._keepers, self._draining = facts.keeper, facts.draining
        self._url, self._secret = loopback(facts.url), facts.secret
        self._authority, self._revoked, self.purged = authority, revoked, purged

    async def purge(self, by: str, what: str, *, soft: bool) -> None:
        """By `url`, `prefix` or `tag`. BadRequest, Overloaded (again later)."""
        await admin.done(self._keepers, admin.parse({by: what, "soft": soft}, self._authority), PURGE_S)

    async def purge_all(self) -> None:
        """Make all that is stored stale. Overloaded (again later)."""
        await admin.done(self._keepers, Purge("prefix", "", soft=True), PURGE_S)

    async def prefetch(self, paths: Sequence[str]) -> None:
        """Ask this node for every path. UpstreamFailed names the first that did not come."""
        gate = asyncio.Semaphore(PATHS_AT_ONCE)
        connector = aiohttp.TCPConnector(limit=PATHS_AT_ONCE, ssl=False)  # to ourselves: our names need not fit
        timeout = aiohttp.ClientTimeout(total=PATH_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers={OWN: self._secret}) as session:
            wrong = [why for why in await asyncio.gather(*(self._fetch(session, gate, p) for p in paths)) if why]
        if wrong:
            raise UpstreamFailed(f"{len(wrong)} of {len(paths)} did not come; {wrong[0]}")

    def drain(self, draining: bool) -> None:
        """/ready says no, and so do heartbeats."""
        self._draining.set() if draining else self._draining.clear()

    def revoke(self, revoked: Mapping[str, Sequence[str]]) -> None:
        """Workers refuse these from their next request on."""
        if self._revoked is not None:
            self._revoked.put(f"{by}:{what}" for by, names in revoked.items() for what in names)

    async def _fetch(self, session: aiohttp.ClientSession, gate: asyncio.Semaphore, path: str) -> str:
        """Why it did not come; empty when it did."""
        async with gate:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.get(URL(self._url + path, encoded=True), allow_redirects=False) as response:
                    async for _ in response.content.iter_chunked(_CHUNK):
                        pass
                    return "" if response.status == 200 else f"{path[:100]}: {response.status}"
            return f"{path[:100]}: no answer"


def loopback(url: str) -> str:
    """The node's URL as it reaches itself, where it listens on all addresses."""
    parts = urlsplit(url)
    host = _ANYWHERE.get(parts.hostname or "", parts.hostname or "")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port}"
