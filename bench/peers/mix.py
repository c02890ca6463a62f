"""Load over many addresses: wrk's scripts reach a few thousand a second, this 18,000 to 30,000 on a busy core.

python -m bench.peers.mix PORT FILE SECONDS CONNECTIONS; FILE has a target a line, asked for in order and over again;
in 0 SECONDS, once.
Prints {"requests", "seconds", "p50_s", "p99_s"}. Every answer must be a whole 200.
"""

import json
import select
import socket
import sys
import time
from array import array
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from bench.peers.load import FIELDS

_READ = 1 << 20
PATIENCE_S = 30.0
_NO_END_S = 3_600.0


class Client:
    """One connection: a request, its whole answer, the next request."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self._left = -1

    def ask(self, request: bytes, now: float) -> None:
        """Send it; a request is far smaller than a socket's buffer."""
        self.began, self._left = now, -1
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Read what is there; whether the answer is whole. ConnectionError for anything but a whole 200."""
        data = self.socket.recv(_READ)
        if self._left < 0:
            head, end, body = data.partition(b"\r\n\r\n")
            if not end or not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"no whole head of a 200: {data[:200]!r}")
            self._left, data = _length(head), body
        elif not data:
            raise ConnectionError("an answer was cut")
        self._left -= len(data)
        return self._left == 0

    def close(self) -> None:
        """Leave."""
        self.socket.close()


def drive(clients: list[Client], requests: Iterator[bytes], seconds: float) -> tuple[int, "array[float]"]:
    """Keep every client busy for so long, or until there are no more requests; how many answers came, and the seconds
    that each took."""
    poll, took = select.epoll(), array("d")
    of = {each.socket.fileno(): each for each in clients}
    for fd, each in of.items():
        poll.register(fd, select.EPOLLIN)
        each.ask(next(requests), time.perf_counter())
    busy, end, now = len(of), time.perf_counter() + seconds, 0.0
    while now < end and busy:
        ready = poll.poll(PATIENCE_S)
        if not ready:
            raise ConnectionError("no answer")
        for fd, _ in ready:
            each = of[fd]
            if each.answered():
                now = time.perf_counter()
                took.append(now - each.began)
                if request := next(requests, b""):
                    each.ask(request, now)
                else:
                    busy -= 1
    return len(took), took


def _length(head: bytes) -> int:
    found = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return int(found)


def requests_of(targets: Path) -> list[bytes]:
    """What a browser would send for the targets of a file."""
    fields = "".join(f"{field}\r\n" for field in ("Host: bench.test", *FIELDS))
    return [f"GET {each} HTTP/1.1\r\n{fields}\r\n".encode() for each in targets.read_text().splitlines()]


def percentiles(took: "array[float]") -> dict[str, float]:
    """The p50 and p99 of these latencies, as they are printed."""
    times = sorted(took)
    return {f"p{percent}_s": times[percent * len(times) // 100] for percent in (50, 99)}


def main() -> None:
    """See the module."""
    port, file, seconds, connections = sys.argv[1:]
    clients = [Client(int(port)) for _ in range(int(connections))]
    requests, lasting = requests_of(Path(file)), float(seconds)
    began = time.perf_counter()
    count, took = drive(clients, cycle(requests), lasting) if lasting else drive(clients, iter(requests), _NO_END_S)
    spent = time.perf_counter() - began
    sys.stdout.write(json.dumps({"requests": count, "seconds": spent} | percentiles(took)) + "\n")


if __name__ == "__main__":
    main()
