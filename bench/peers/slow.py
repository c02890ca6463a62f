"""Viewers who read at 10 KB/s, as a process on the load's core.

python -m bench.peers.slow PORT TARGET VIEWERS; says "ready" when all have the beginning of their answers.
"""

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.peers.processes import LOAD_CORE

_PIECE = 1_024
_EVERY_S = 0.1
_BUFFER = 16_384
_PATIENCE_MS = 30_000


@contextlib.contextmanager
def reading(port: int, target: str, viewers: int) -> Iterator[None]:
    """So many, all of them in the middle of their answers; gone on leaving."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "bench.peers.slow"]
    process = subprocess.Popen([*command, str(port), target, str(viewers)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            raise ConnectionError("slow viewers got no answer")
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def read_slowly(port: int, target: str, viewers: int) -> None:
    """Until killed. One tenth of a second after another everybody reads a piece."""
    request = f"GET {target} HTTP/1.1\r\nHost: bench.test\r\n\r\n".encode()
    all_of_them = [_asked(port, request) for _ in range(viewers)]
    for each in all_of_them:
        _first(each)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    due = time.monotonic()
    while True:
        for each in all_of_them:
            with contextlib.suppress(BlockingIOError):
                each.recv(_PIECE)
        due += _EVERY_S
        time.sleep(max(0.0, due - time.monotonic()))


def _asked(port: int, request: bytes) -> socket.socket:
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    viewer.connect(("127.0.0.1", port))
    viewer.setblocking(False)
    viewer.sendall(request)
    return viewer


def _first(viewer: socket.socket) -> None:
    poll = select.poll()
    poll.register(viewer, select.POLLIN)
    if not poll.poll(_PATIENCE_MS) or not viewer.recv(_PIECE).startswith(b"HTTP/1.1 200"):
        raise ConnectionError("no 200")


if __name__ == "__main__":
    read_slowly(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
