"""Around every handler of both listeners: request id, one rendering of errors, one log line, metrics."""

import contextlib
import re
import secrets
import time
import traceback
from typing import Any

import orjson
from aiohttp import web

from kit import log
from kit.errors import HeadraceError, Refused
from origin.app.metrics import Metrics
from origin.contract import headers

REQUEST_ID = web.RequestKey("request_id", str)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
TRACE_FRAMES = 12
_KINDS = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def answer_json(value: Any, status: int = 200, **fields: str) -> web.Response:
    """A JSON answer that nobody keeps."""
    kept = {"Cache-Control": "no-store"} | fields
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=kept)


def application(listener: str, metrics: Metrics, *, max_body: int = 64 * 1024) -> web.Application:
    """An application without routes whose handlers may raise kit.errors. `listener` labels log and metrics."""
    wire = _Wire(listener, metrics)
    app = web.Application(middlewares=[wire.around], client_max_size=max_body)
    app.on_response_prepare.append(_add_request_id)
    return app


class _Wire:
    def __init__(self, listener: str, metrics: Metrics) -> None:
        self._listener, self._metrics = listener, metrics
        self._log = log.get(listener)

    @property
    def around(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
            return await self._around(request, handler)

        return middleware

    async def _around(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get(headers.REQUEST_ID, "")
        request[REQUEST_ID] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        began = time.monotonic()
        status, sent, reason = 499, 0, ""
        try:
            response, reason = await self._answer(request, handler)
            status, sent = response.status, _size(request, response)
            return response
        finally:
            self._account(request, status, sent, reason, time.monotonic() - began)

    async def _answer(self, request: web.Request, handler: Any) -> tuple[web.StreamResponse, str]:
        try:
            return await handler(request), ""
        except HeadraceError as error:
            return self._render(request, error), f"{error.kind}: {error}"
        except web.HTTPException as error:
            kind = _KINDS.get(error.status, "bad_request")
            return self._error(request, error.status, kind, error.reason), kind
        except web.RequestPayloadError:
            return self._error(request, 400, "bad_request", "the body is not what its header fields say"), "body"
        except Exception as error:
            if isinstance(error, ConnectionError | TimeoutError) and _gone(request):
                raise
            # As text, not exc_info: the log's structured form has every frame's variables, secrets among them.
            trace = "".join(traceback.format_exception(error, limit=-TRACE_FRAMES))
            self._log.error("request failed", request_id=request[REQUEST_ID], trace=trace)
            self._metrics.errors.labels(self._listener, "internal").inc()
            body = {"error": "internal", "message": "something went wrong here", "requestId": request[REQUEST_ID]}
            return answer_json(body, 500), f"internal: {type(error).__name__}"

    def _render(self, request: web.Request, error: HeadraceError) -> web.Response:
        if isinstance(error, Refused):
            self._metrics.errors.labels(self._listener, error.kind).inc()
            return _refusal()
        fields = {"Retry-After": "1"} if error.retry and error.status == 503 else {}
        message = str(error) if error.status != 500 else "something went wrong here"
        return self._error(request, error.status, error.kind, message, **fields)

    def _error(self, request: web.Request, status: int, kind: str, message: str, **fields: str) -> web.Response:
        self._metrics.errors.labels(self._listener, kind).inc()
        body = {"error": kind, "message": message, "requestId": request[REQUEST_ID]}
        return answer_json(body, status, **fields)

    def _account(self, request: web.Request, status: int, sent: int, reason: str, seconds: float) -> None:
        self._metrics.requests.labels(self._listener, f"{status // 100}xx").inc()
        self._metrics.sent.labels(self._listener).inc(sent)
        self._metrics.seconds.labels(self._listener).observe(seconds)
        # A log that cannot be written (a full disk, a reader of the pipe that went away) holds up no answer.
        with contextlib.suppress(OSError, ValueError):
            self._say(request, status, sent, reason, seconds)

    def _say(self, request: web.Request, status: int, sent: int, reason: str, seconds: float) -> None:
        self._log.info(
            "request",
            request_id=request[REQUEST_ID],
            client=request.remote,
            method=request.method,
            path=request.rel_url.raw_path[:500],  # never the query: it may bear a token (T-035)
            status=status,
            bytes=sent,
            ms=round(seconds * 1000, 2),
            **({"reason": reason[:300]} if reason else {}),
        )


def _size(request: web.Request, response: web.StreamResponse) -> int:
    """Body bytes: counted where the handler sent them itself, else what is about to be sent."""
    if response.prepared:
        return response.body_length
    return 0 if request.method == "HEAD" or response.status == 304 else response.content_length or 0


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _refusal() -> web.Response:
    """The same bytes for every refusal: whether the thing exists must not show."""
    return web.Response(
        body=headers.REFUSAL_BODY,
        status=headers.REFUSAL_STATUS,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def _add_request_id(request: web.Request, response: web.StreamResponse) -> None:
    if REQUEST_ID in request:
        response.headers[headers.REQUEST_ID] = request[REQUEST_ID]
