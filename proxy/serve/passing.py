"""Requests and answers that are passed on and not stored."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from aiohttp.web import BaseRequest, RequestPayloadError

from kit.errors import BadRequest, UpstreamFailed
from proxy.http import cache_status, loop
from proxy.http.cache_status import Forward
from proxy.http.fields import Fields, combined, single, values, without
from proxy.http.groups import invalidated
from proxy.rules.invalidation import named
from proxy.rules.key import cache_key
from proxy.serve.exchange import Exchange, Handling
from proxy.serve.onward import Onward
from proxy.serve.tier import Passage, Tier
from proxy.serve.wire import Answer, Sent
from proxy.store.store import Store
from proxy.upstream.client import Client, Response
from proxy.upstream.interim import Listener

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@runtime_checkable
class InvalidatesGroups(Protocol):
    """A store that knows the groups of what it holds."""

    async def invalidate_groups(self, groups: tuple[str, ...]) -> object:
        """Every stored answer of one of these groups is out of date (RFC 9875 3)."""
        ...


class Passer:
    """Passes requests on for one worker."""

    def __init__(self, name: str, tier: Tier, client: Client, store: Store, patience_s: float) -> None:
        """`patience_s`: how long a viewer may send nothing of a body that it announced."""
        self._name, self._tier, self._client, self._store = name, tier, client, store
        self._patience_s = patience_s
        self._onward = Onward(name, tier)

    async def pass_on(self, exchange: Exchange, answer: Answer, passage: Passage, key: str, why: Forward) -> Sent:
        """Send the request as it is, relay the answer; a success of an unsafe method invalidates (RFC 9111 4.4)."""
        if exchange.method == "CONNECT":
            raise BadRequest("tunnels are not served")
        left = loop.forwards_left(exchange.method, exchange.fields)
        if left == 0:
            return await self._answer_here(exchange, answer)
        upload = self._upload(exchange)
        fields = loop.forwarded_once(self._onward.fields(exchange), left)
        response = await self._send(exchange.method, passage.target, fields, key, upload, answer.hint)
        if exchange.method not in _SAFE and response.status < 400:
            try:
                await self._invalidate(exchange, key, passage.target, response.fields)
            except BaseException:
                response.close()
                raise
        return await self.relay(
            exchange, answer, response, cache_status.forwarded(self._name, why, status=response.status)
        )

    async def _answer_here(self, exchange: Exchange, answer: Answer) -> Sent:
        """OPTIONS and TRACE that may go no further: we are their last recipient (RFC 9110 7.6.2)."""
        exchange.handling = Handling.DIRECT
        ours = (("X-Request-ID", exchange.request_id), *self._tier.answer_fields)
        status = 204 if exchange.method == "OPTIONS" else 405
        unread = exchange.request.body_exists
        await answer.begin(status, (("Allow", "GET, HEAD, OPTIONS"), *ours), 0, close=unread)
        return await answer.end()

    async def _invalidate(self, exchange: Exchange, key: str, target: str, response: Fields) -> None:
        """RFC 9111 4.4: the target, and what Location and Content-Location name here; RFC 9875 3: the groups named."""
        await self._store.invalidate(key)
        authorities = (self._client.authority, single(exchange.fields, "Host") or "")
        for also in named(response, target, authorities):
            await self._store.invalidate(cache_key(self._client.authority, also))
        groups = invalidated(response)
        if groups and isinstance(self._store, InvalidatesGroups):
            await self._store.invalidate_groups(groups)

    async def _send(
        self, method: str, target: str, fields: Fields, key: str, upload: "_Upload | None", hints: Listener
    ) -> Response:
        if upload is None:
            return await self._client.send(method, target, fields, key=key, hints=hints)
        try:
            return await self._client.send(
                method, target, fields, key=key, body=upload.pieces(), length=upload.length, hints=hints
            )
        except UpstreamFailed as error:
            raise upload.failure or error from None

    async def relay(self, exchange: Exchange, answer: Answer, response: Response, member: str) -> Sent:
        """Put an upstream's answer on the wire as it comes, our Cache-Status behind those of the tiers before."""
        exchange.handling = Handling.PASS
        theirs = combined(response.fields, "Cache-Status")
        ours: Fields = (
            ("Cache-Status", f"{theirs}, {member}" if theirs else member),
            ("X-Request-ID", exchange.request_id),
            *self._tier.answer_fields,
        )
        fields = (
            *without(response.fields, ("Content-Length", *(name for name, _ in ours))),
            *ours,
        )
        try:
            await answer.begin(response.status, fields, response.length)
            if response.has_body and exchange.method != "HEAD":
                await answer.body(response.pieces())
            return await answer.end()
        finally:
            response.close()

    def _upload(self, exchange: Exchange) -> "_Upload | None":
        """The request's body, asked for with 100 (RFC 9110 10.1.1); None when it has none."""
        request = exchange.request
        if not request.body_exists:
            return None
        expects = values(exchange.fields, "Expect")
        if expects and expects[0].lower() != "100-continue":
            raise BadRequest("unknown expectation")
        if expects and request.transport is not None and request.version >= (1, 1):
            request.transport.write(_CONTINUE)
        return _Upload(request, self._patience_s)


class _Upload:
    """A request body on its way upstream. What goes wrong with it is the viewer's fault, not the upstream's."""

    def __init__(self, request: BaseRequest, patience_s: float) -> None:
        self._content, self._patience_s = request.content, patience_s
        self.length = request.content_length
        self.failure: BadRequest | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; when it breaks off or stalls, `failure` says so."""
        try:
            while piece := await self._next():
                yield piece
        except TimeoutError:
            self.failure = BadRequest("the request's body stalled")
        except (RequestPayloadError, ConnectionError):
            self.failure = BadRequest("the request's body broke off")
        if self.failure:
            raise ConnectionError("no more body")  # ends the request upstream: a part must not pass for the whole

    async def _next(self) -> bytes:
        async with asyncio.timeout(self._patience_s):
            return await self._content.readany()
