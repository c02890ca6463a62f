"""One worker's client towards the next tier.

Bodies stream; nothing is decompressed or redirected. aiohttp repeats an idempotent request once at the same server when
its connection died before an answer (a server may close an idle one at any time), never one whose body was read (RFC
9110 9.2.2); another server is asked within a budget.
Failures are UpstreamFailed (it failed or could not be reached), UpstreamTimeout, and those of proxy.upstream.failures.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kit.clock import Clock
from kit.errors import UpstreamFailed, UpstreamTimeout
from proxy.http.fields import Fields, combined, end_to_end, members, single, without
from proxy.upstream import failures
from proxy.upstream.chooser import Attempt, Chooser
from proxy.upstream.failures import Away, CannotConnect, Disconnected
from proxy.upstream.interim import Listener, Overhearing, listening

Sign = Callable[[str, str], Fields]
"""(method, target) -> fields that prove to the next tier who asks."""

_OURS = ("Host", "Content-Length", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Expect")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_READ = 256 * 1024
_PIECE_S = 120.0
"""An upstream that takes no piece of an upload for this long has failed; longer than any viewer's own patience."""


@dataclass(frozen=True, slots=True)
class Manners:
    """Seconds, and connections of one worker to one server."""

    connect_timeout_s: float
    head_timeout_s: float
    read_timeout_s: float
    connections: int
    idle_s: float


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent, to whichever server. `length` is the body's, None for chunked."""

    method: str
    target: str
    fields: Fields
    body: AsyncIterator[bytes] | None
    length: int | None

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent twice (RFC 9110 9.2.2)."""
        return self.method in _SAFE and self.body is None


class Response:
    """An answer's head, and its body to be read once. Close it or read it to the end."""

    def __init__(self, response: aiohttp.ClientResponse, method: str, attempt: Attempt) -> None:
        self._response, self._attempt = response, attempt
        self.status = response.status
        raw = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in response.raw_headers)
        chunked = "chunked" in (member.lower() for member in members(combined(raw, "Transfer-Encoding")))
        self.fields = without(end_to_end(raw), ("Content-Length",)) if chunked else end_to_end(raw)
        self.has_body = method != "HEAD" and self.status not in (204, 304)
        self.length = None if chunked else _length(raw)
        self.delimited = chunked or not self.has_body or self.length is not None
        """Whether the end of the body can be told from a lost connection (RFC 9112 6.3)."""
        self._waiting = False
        protocol = response.connection.protocol if response.connection is not None else None
        self._lost = protocol.closed if protocol is not None else None
        if self._lost is not None:
            self._lost.add_done_callback(self._connection_lost)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        try:
            while piece := await self._next():
                yield piece
        except (aiohttp.ClientError, asyncio.IncompleteReadError, ConnectionError) as error:
            raise failures.broke_off(error) from None
        except TimeoutError:
            raise UpstreamTimeout("upstream fell silent") from None

    async def _next(self) -> bytes:
        """The next bytes, b"" at the end."""
        content = self._response.content
        if self._lost is None or not self._lost.done():
            self._waiting = True
            try:
                return await content.readany()
            finally:
                self._waiting = False
        piece = content.read_nowait()
        if not piece and not content.at_eof():
            raise failures.broke_off(None)
        return piece

    def _connection_lost(self, lost: "asyncio.Future[None]") -> None:
        """A body that aiohttp's parser found broken is left without end or error (3.14): its reader would wait for
        ever. Whoever still waits when the connection is gone waits for nothing."""
        if not lost.cancelled():
            lost.exception()  # looked at: it is told to whoever reads the body
        content = self._response.content
        if self._waiting and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("connection lost in a body"))

    def close(self) -> None:
        """Give up the body; the connection is reused only if it was read to its end."""
        self._attempt.over()
        if self._lost is not None:
            self._lost.remove_done_callback(self._connection_lost)
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Client:
    """Sends requests to the servers of the next tier. An async context manager."""

    def __init__(
        self,
        bases: tuple[str, ...],
        authority: str | None,
        manners: Manners,
        clock: Clock,
        sign: Sign | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` verifies https servers; None: as the ssl module does by default."""
        self._chooser = Chooser(bases)
        self._authority, self._manners = authority, manners
        self._clock, self._sign, self._tls = clock, sign, tls
        self._session: aiohttp.ClientSession | None = None

    @property
    def authority(self) -> str:
        """The authority that requests are for: part of every cache key."""
        return self._authority or URL(self._chooser.bases[0]).authority

    @property
    def loads(self) -> dict[str, int]:
        """Requests under way at each server."""
        return self._chooser.loads

    async def __aenter__(self) -> "Client":
        manners = self._manners
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=manners.connections,
                keepalive_timeout=manners.idle_s,
                ttl_dns_cache=30,
                ssl=self._tls or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(sock_connect=manners.connect_timeout_s, sock_read=manners.read_timeout_s),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=_READ,
            max_line_size=16_384,
            max_field_size=16_384,
            response_class=Overhearing,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    @property
    def chooser(self) -> Chooser:
        """The servers and how they do."""
        return self._chooser

    async def probe(self, base: str, patience_s: float) -> bool:
        """Whether a server answers: an OPTIONS that may go no further (RFC 9110 7.6.2), any answer but a 5xx."""
        assert self._session is not None
        headers = CIMultiDict({"Host": self._authority or URL(base).authority, "Max-Forwards": "0"})
        headers.extend(self._sign("OPTIONS", "/") if self._sign else ())
        try:
            async with (
                asyncio.timeout(patience_s),
                self._session.request(
                    "OPTIONS", URL(base + "/", encoded=True), headers=headers, allow_redirects=False
                ) as response,
            ):
                return response.status < 500
        except (aiohttp.ClientError, ConnectionError, TimeoutError, ValueError):
            return False

    async def send(
        self,
        method: str,
        target: str,
        fields: Fields,
        *,
        key: str,
        body: AsyncIterator[bytes] | None = None,
        length: int | None = None,
        hints: Listener | None = None,
    ) -> Response:
        """The head of the answer to one request, from the server that `key` ranks first of those that are well.

        A server that cannot be connected to is passed over, and one whose connection goes before an answer when the
        request may be repeated (RFC 9110 9.2.2) and the budget of retries allows it. UpstreamFailed when none is left.
        `length` is the request body's, None for chunked. `hints` is told of interim answers.
        """
        request = _Request(method, target, fields, body, length)
        failure: UpstreamFailed = Away("no upstream may be asked now")
        for server in self._chooser.order(key, self._clock.monotonic()):
            attempt = self._chooser.begins(server, self._clock.monotonic())
            if attempt is None:
                continue
            try:
                with listening(hints):
                    return await self._attempt(attempt, server.base, request)
            except CannotConnect as error:
                failure = error
            except Disconnected as error:
                failure = error
                if not request.repeatable or not self._chooser.may_retry():
                    break
        raise failure

    async def _attempt(self, attempt: Attempt, base: str, request: _Request) -> Response:
        """One request to one server, its outcome noted. What goes wrong with an upload may be the viewer's doing and
        says nothing of the server."""
        try:
            response = await self._send_to(base, request)
        except UpstreamFailed as error:
            if request.body is None or isinstance(error, CannotConnect):
                attempt.failed(self._clock.monotonic(), unreachable=isinstance(error, CannotConnect))
            else:
                attempt.abandoned(self._clock.monotonic())
            attempt.over()
            raise
        except BaseException:
            attempt.abandoned(self._clock.monotonic())
            attempt.over()
            raise
        attempt.answered(self._clock.monotonic())
        return Response(response, request.method, attempt)

    async def _send_to(self, base: str, request: _Request) -> aiohttp.ClientResponse:
        assert self._session is not None
        method, body = request.method, request.body
        headers = CIMultiDict((name, _as_utf8(value)) for name, value in without(request.fields, _OURS))
        headers["Host"] = self._authority or URL(base).authority
        headers.extend(self._sign(method, request.target) if self._sign else ())
        if body is not None and request.length is not None:
            headers["Content-Length"] = str(request.length)
        try:
            url = URL(base + request.target, encoded=True)
            async with asyncio.timeout(self._manners.head_timeout_s) as deadline:
                data = self._timed(body, deadline) if body is not None else None
                return await self._session.request(method, url, headers=headers, data=data, allow_redirects=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise failures.cannot_connect(error) from None
        except TimeoutError:
            raise UpstreamTimeout("upstream sent no answer in time") from None
        except (aiohttp.ClientError, ConnectionError, ValueError) as error:
            raise failures.no_answer(error) from None

    async def _timed(self, body: AsyncIterator[bytes], deadline: asyncio.Timeout) -> AsyncIterator[bytes]:
        """The body, its sender's own patience bounding each piece; the wait for the head begins at its end."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(RuntimeError):  # the answer came before the body's end: no deadline any more
            deadline.reschedule(loop.time() + _PIECE_S)
            async for piece in body:
                yield piece
                deadline.reschedule(loop.time() + _PIECE_S)
            deadline.reschedule(loop.time() + self._manners.head_timeout_s)
            return
        async for piece in body:
            yield piece


def _as_utf8(value: str) -> str:
    """aiohttp writes fields as UTF-8: bytes that are UTF-8 stay themselves, others become the UTF-8 of Latin-1."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _length(fields: Fields) -> int | None:
    """Content-Length, where it is one valid number (RFC 9112 6.3)."""
    value = single(fields, "Content-Length")
    with contextlib.suppress(ValueError):
        return int(value) if value is not None and value.isascii() and value.isdigit() else None
    return None
