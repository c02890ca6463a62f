"""Requests and answers that are passed on and not stored."""

from collections.abc import AsyncIterator

from kit.errors import BadRequest
from proxy.http import cache_status
from proxy.http.cache_status import Forward
from proxy.http.fields import Fields, combined, end_to_end, values, without
from proxy.serve.exchange import Exchange, Handling
from proxy.serve.tier import Passage, Tier
from proxy.serve.wire import Answer, Sent
from proxy.store.store import Store
from proxy.upstream.client import Client, Response

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Passer:
    """Passes requests on for one worker."""

    def __init__(self, name: str, tier: Tier, client: Client, store: Store) -> None:
        self._name, self._tier, self._client, self._store = name, tier, client, store

    async def pass_on(self, exchange: Exchange, answer: Answer, passage: Passage, key: str, why: Forward) -> Sent:
        """Send the request as it is, relay the answer; a success of an unsafe method invalidates (RFC 9111 4.4)."""
        if exchange.method == "CONNECT":
            raise BadRequest("tunnels are not served")
        body, length = self._body(exchange)
        kept = self._tier.forwarded(end_to_end(exchange.fields))
        via = combined(kept, "Via")
        fields: Fields = (
            *without(kept, ("Via", "X-Request-ID")),
            ("Via", f"{via}, 1.1 {self._name}" if via else f"1.1 {self._name}"),
            ("X-Request-ID", exchange.request_id),
        )
        response = await self._client.send(exchange.method, passage.target, fields, key=key, body=body, length=length)
        if exchange.method not in _SAFE and response.status < 400:
            await self._store.invalidate(key)
        return await self.relay(
            exchange, answer, response, cache_status.forwarded(self._name, why, status=response.status)
        )

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

    def _body(self, exchange: Exchange) -> tuple[AsyncIterator[bytes] | None, int | None]:
        request = exchange.request
        if not request.body_exists:
            return None, None
        expects = values(exchange.fields, "Expect")
        if expects and expects[0].lower() != "100-continue":
            raise BadRequest("unknown expectation")
        if expects and request.transport is not None:
            request.transport.write(_CONTINUE)
        return request.content.iter_any(), request.content_length
