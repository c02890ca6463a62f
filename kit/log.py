"""One JSON line an event, on standard error. `setup` once a process, `get` anywhere."""

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer


def setup(process: str, *, level: str = "info") -> None:
    """Send our events and the libraries' (from warning up) to standard error as JSON lines.

    `process` is in every line; `level` is one of debug, info, warning, error.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),  # locals hold secrets
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(process=process)
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(max(number, logging.WARNING))


def get(name: str) -> Any:
    """A logger for a room: `get("fill").info("published", bytes=12)`."""
    return structlog.get_logger(room=name)


def _dumps(value: Any, default: Any = None, **_: Any) -> bytes:
    return orjson.dumps(value, default=default or str)


class _Bridge(logging.Handler):
    """Hands the records of libraries that use the standard logging module to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"library": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}"
        get("library").log(record.levelno, record.getMessage(), **fields)
