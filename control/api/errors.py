"""The one place where control's errors become answers: `{"error": kind, "message": text}` and the request's id."""

import re
import traceback
import uuid

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from control.api.metrics import Metrics
from kit import log
from kit.errors import HeadraceError, Overloaded, Refused
from origin.contract.headers import REFUSAL_BODY, REFUSAL_STATUS, REQUEST_ID

RETRY_AFTER_S = 2
TRACE_FRAMES = 12
PATH_CHARS = 200
"""Of a refused request's path in the log: whoever sends it chose it."""
ID = web.RequestKey("id", str)
"""A request's id, for handlers that put it on record."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def middleware(metrics: Metrics) -> Middleware:
    """Render every failure; nothing of it but kind and message leaves the process."""

    @web.middleware
    async def render(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(REQUEST_ID, "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        request[ID] = request_id
        try:
            response = await handler(request)
        except Refused as error:
            metrics.refused.labels(error.kind).inc()
            path = request.path[:PATH_CHARS]
            log.get("api").warning("refused", reason=str(error), kind=error.kind, path=path, id=request_id)
            response = refusal()
        except HeadraceError as error:
            metrics.errors.labels(error.kind).inc()
            response = _answer(error.status, error.kind, str(error))
            if isinstance(error, Overloaded):
                response.headers["Retry-After"] = str(RETRY_AFTER_S)
        except web.HTTPRedirection:
            raise
        except web.HTTPException as error:
            kind = error.reason.lower().replace(" ", "_")
            metrics.errors.labels(kind).inc()
            response = _answer(error.status, kind, error.reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        except ConnectionError:
            raise  # nobody is left to answer
        except Exception as error:
            metrics.errors.labels("error").inc()
            # As text, not exc_info: the log's structured form has every frame's variables, secrets among them.
            trace = "".join(traceback.format_exception(error, limit=-TRACE_FRAMES))
            log.get("api").error("failed", error=repr(error), path=request.path, id=request_id, trace=trace)
            response = _answer(500, "error", "control failed; the log has the rest under this request's id")
        response.headers[REQUEST_ID] = request_id
        return response

    return render


def refusal() -> web.Response:
    """The constant answer to a request that is not allowed."""
    return web.Response(status=REFUSAL_STATUS, body=REFUSAL_BODY, content_type="application/json")


def json(value: object, status: int = 200) -> web.Response:
    """A JSON answer that no cache keeps."""
    return web.Response(
        status=status,
        body=orjson.dumps(value) + b"\n",
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _answer(status: int, kind: str, message: str) -> web.Response:
    return json({"error": kind, "message": message}, status)
