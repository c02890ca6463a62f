"""A plain HTTP/1.1 origin of the standard library in a thread: what a team may have already."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextlib.contextmanager
def serving(handler: Any) -> Iterator[str]:
    """Serve with a handler class (or a partial of one); yields the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Plain(Quiet):
    """A handler whose answers are fresh for an hour, on connections that stay."""

    protocol_version = "HTTP/1.1"

    def head(self, length: int, status: int = 200, **fields: str) -> None:
        """Everything before the body; `Cache_Groups="x"` becomes a field."""
        self.send_response(status)
        for name, value in ({"Content_Length": str(length), "Cache_Control": "max-age=3600"} | fields).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
