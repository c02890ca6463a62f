"""Load from its own core: wrk for one address, our own (mix) for many."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.node import NodeFailed
from bench.peers.processes import LOAD_CORE, Peer

FIELDS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Accept: */*",
    "Accept-Language: en-US,en;q=0.9",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: http://player.test/",
    "Origin: http://player.test",
)
"""What a browser's player sends."""
_TRIES = 3
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Round:
    """One peer under load for `seconds`; latencies count from when a connection was free, in seconds."""

    requests: int
    cpu_s: float
    seconds: float
    p50_s: float
    p99_s: float

    @property
    def cost_s(self) -> float:
        """CPU seconds a request."""
        return self.cpu_s / max(1, self.requests)


def wrk(peer: Peer, path: str, seconds: int, connections: int, fields: Sequence[str] = ()) -> Round:
    """The same request over and over. A round without an answer says of the machine, not of the peer: another follows,
    and NodeFailed after the third."""
    for _ in range(_TRIES):
        done = _wrk(peer, path, seconds, connections, fields)
        if done.requests:
            return done
    raise NodeFailed(f"{peer.title} answered nothing in {_TRIES} rounds")


def _wrk(peer: Peer, path: str, seconds: int, connections: int, fields: Sequence[str]) -> Round:
    given = [part for field in (*FIELDS, *fields) for part in ("-H", field)]
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *given]
    before = peer.cpu_s()
    text = subprocess.run([*command, peer.url(path)], capture_output=True, text=True, check=True).stdout
    spent = peer.cpu_s() - before
    done = re.search(r"(\d+) requests in ([0-9.]+)(us|ms|s|m)", text)
    if done is None or "Socket errors: connect" in text or ("Non-2xx" in text and not fields):
        raise NodeFailed(f"{peer.title} did not answer as wanted: {text[-1_000:]}")
    return Round(int(done[1]), spent, float(done[2]) * _UNITS[done[3]], latency(text, 50), latency(text, 99))


def mix(peer: Peer, targets: Path, seconds: float, connections: int) -> Round:
    """The targets of a file, a line each, in order and over again (bench.peers.mix)."""
    before = peer.cpu_s()
    told = _told(peer, _started(peer, "mix", targets, seconds, connections))
    return Round(told["requests"], peer.cpu_s() - before, told["seconds"], told["p50_s"], told["p99_s"])


def beside(peer: Peer, targets: Path, others: Path, rates: tuple[int, int]) -> Round:
    """Two viewers' targets at so many a second each (bench.peers.paced): what the first had, and the CPU of all."""
    before = peer.cpu_s()
    both = [_started(peer, "paced", file, rate) for file, rate in zip((targets, others), rates, strict=True)]
    told, other = (_told(peer, each) for each in both)
    requests = told["requests"] + other["requests"]
    return Round(requests, peer.cpu_s() - before, told["seconds"], told["p50_s"], told["p99_s"])


def _started(peer: Peer, module: str, targets: Path, *arguments: float) -> "subprocess.Popen[str]":
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", f"bench.peers.{module}"]
    return subprocess.Popen(
        [*command, str(peer.port), str(targets), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _told(peer: Peer, process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, errors = process.communicate()
    if process.returncode:
        raise NodeFailed(f"{peer.title} did not answer as wanted: {errors[-1_000:]}")
    told: dict[str, Any] = json.loads(out)
    return told


def latency(text: str, percent: int) -> float:
    """Seconds at that percentile, of what wrk says; it pads a unit of one letter. 0 where it says nothing."""
    found = re.search(rf"^ +{percent}% +([0-9.]+)(us|ms|s|m) *$", text, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0
