"""Load at a steady rate, whatever came of the requests before: a wait of the server counts in full.

python -m bench.peers.paced PORT FILE A_SECOND; FILE has a target a line, asked for once, in order.
Prints {"requests", "seconds", "p50_s", "p99_s"}; latencies count from when a request was due.
"""

import json
import select
import sys
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

from bench.peers.mix import PATIENCE_S, Client, percentiles, requests_of

_CONNECTIONS = 32
"""So many answers at most are under way; what is due beyond them waits, and its wait counts."""


def pace(clients: Sequence[Client], requests: Sequence[bytes], a_second: float) -> "array[float]":
    """Ask for them all; the seconds that each took, as they came. ConnectionError for anything but whole 200s."""
    poll, took, free = select.epoll(), array("d"), list(clients)
    of = {each.socket.fileno(): each for each in clients}
    for fd in of:
        poll.register(fd, select.EPOLLIN)
    began, asked = time.perf_counter(), 0
    while len(took) < len(requests):
        while free and asked < len(requests) and (due := began + asked / a_second) <= time.perf_counter():
            free.pop().ask(requests[asked], due)
            asked += 1
        waits = free and asked < len(requests)
        ready = poll.poll(max(0.0, began + asked / a_second - time.perf_counter()) if waits else PATIENCE_S)
        if not ready and not waits:
            raise ConnectionError("no answer")
        for fd, _ in ready:
            each = of[fd]
            if each.answered():
                took.append(time.perf_counter() - each.began)
                free.append(each)
    return took


def main() -> None:
    """See the module."""
    port, file, a_second = sys.argv[1:]
    clients = [Client(int(port)) for _ in range(_CONNECTIONS)]
    requests = requests_of(Path(file))
    began = time.perf_counter()
    took = pace(clients, requests, float(a_second))
    spent = time.perf_counter() - began
    sys.stdout.write(json.dumps({"requests": len(took), "seconds": spent} | percentiles(took)) + "\n")


if __name__ == "__main__":
    main()
