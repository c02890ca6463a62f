"""One control process: steering answers and heartbeats a second, and how long they take.

The process is real and has a core of its own where there are two; this process is the load, on the other. Players keep
their connections, as browsers do; every answer is of another session than the one before.
"""

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from bench.client import Latencies
from bench.report import Report
from configs.dump import to_toml
from configs.schema.control import ControlSettings
from control.contract.credential import issue
from control.contract.messages import HEARTBEAT_PATH, LoadParts
from control.contract.messages import Report as Heartbeat
from control.enrol import fleet_key
from control.steering.live import PATH
from control.steering.session import Session, seal, steering_key
from kit.errors import UpstreamFailed
from kit.usage import cpu_seconds
from origin.contract.headers import NODE

NODES = 300
SESSIONS = 20_000
CONNECTIONS = 64
ANSWERS_PER_S, P99_MS, HEARTBEATS_PER_S = 8_000, 10.0, 2_000
"""What the issue asks of one process."""
HEADLINE = ("answers_per_s", "p99_ms")
"""What scripts read (contracts.md)."""
_START_S = 20.0
_BEAT_S = 1.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Run:
    """One stretch of load."""

    seconds: float
    latencies: Latencies
    cpu_s: float = 0.0
    """What control used meanwhile, heartbeats included."""

    @property
    def cpu_us(self) -> float:
        """Of control, an answer: what is left of a measurement on a machine that others use too."""
        return self.cpu_s / len(self.latencies.seconds) * 1e6

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.latencies.seconds) / self.seconds

    def ms(self, share: float) -> float:
        """The latency that this part of the answers does not exceed."""
        return self.latencies.percentile(share) * 1000


class _Player(asyncio.Protocol):
    """One connection that asks and reads whole answers; a wrong status ends the measurement."""

    def __init__(self) -> None:
        self._data = b""
        self._done: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> "asyncio.Future[None]":
        """Done when the whole answer is here. UpstreamFailed when it is no 200."""
        assert self._transport is not None
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end or self._done is None:
            return
        at = head.lower().find(b"content-length:")
        if not head.startswith(b"HTTP/1.1 200 ") or at < 0:
            self._done.set_exception(UpstreamFailed(f"not an answer: {head[:80]!r}"))
        elif len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0]):
            self._data = b""
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._done and not self._done.done():
            self._done.set_exception(UpstreamFailed("the connection ended"))

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.abort()


async def steering(seconds: float = 5.0, say: Say = lambda _: None) -> Report:
    """Measure. Heartbeats of 300 nodes arrive all the while, one a second each, as in an installation of that size."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        redis = stack.enter_context(_redis(folder))
        say("starting control")
        port, pid = stack.enter_context(_control(folder, redis))
        cores = _apart(pid)
        key = fleet_key(folder / "fleet.key")
        asks, beats = _polls(key), _beats(key)
        async with _players(port, CONNECTIONS) as players, _players(port, 8) as nodes:
            await _every(nodes, beats, NODES)
            say("as many answers as it can give")
            most = await _costed(pid, _beside(nodes, beats, _flat_out(players, asks, seconds)))
            say(f"{ANSWERS_PER_S:,} answers a second")
            paced = await _beside(nodes, beats, _at_pace(players, asks, ANSWERS_PER_S, seconds))
        async with _players(port, CONNECTIONS) as players:
            say("as many heartbeats as it can take")
            beaten = await _costed(pid, _flat_out(players, _beats(key), seconds))
    return _report(most, paced, beaten, seconds, redis=redis is not None, cores=cores)


def _report(most: _Run, paced: _Run, beaten: _Run, seconds: float, *, redis: bool, cores: int) -> Report:
    figures = {
        "answers_per_s": round(most.per_s),
        "p99_ms": round(paced.ms(0.99), 3),
        "p50_ms": round(paced.ms(0.5), 3),
        "paced_per_s": round(paced.per_s),
        "saturated_p99_ms": round(most.ms(0.99), 3),
        "answer_cpu_us": round(most.cpu_us, 1),
        "heartbeats_per_s": round(beaten.per_s),
        "heartbeat_p99_ms": round(beaten.ms(0.99), 3),
        "heartbeat_cpu_us": round(beaten.cpu_us, 1),
    }
    failed = []
    if most.per_s < ANSWERS_PER_S:
        failed.append(f"{most.per_s:,.0f} answers a second instead of {ANSWERS_PER_S:,}")
    if paced.ms(0.99) >= P99_MS:
        failed.append(f"p99 {paced.ms(0.99):.1f} ms at {ANSWERS_PER_S:,} answers a second instead of below {P99_MS} ms")
    if beaten.per_s < HEARTBEATS_PER_S:
        failed.append(f"{beaten.per_s:,.0f} heartbeats a second instead of {HEARTBEATS_PER_S:,}")
    asked = {"seconds": seconds, "nodes": NODES, "sessions": SESSIONS, "connections": CONNECTIONS}
    return Report("steering", {**asked, "redis": redis, "cores": cores}, figures, {}, tuple(failed), HEADLINE)


async def _flat_out(players: list[_Player], asks: Iterator[bytes], seconds: float) -> _Run:
    """Every connection asks again as soon as it has its answer."""
    taken, end = array("d"), time.perf_counter() + seconds

    async def play(player: _Player) -> None:
        while (begun := time.perf_counter()) < end:
            await player.ask(next(asks))
            taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*map(play, players))
    return _Run(time.perf_counter() - begun, Latencies(array("d", sorted(taken))))


async def _at_pace(players: list[_Player], asks: Iterator[bytes], per_s: int, seconds: float) -> _Run:
    """Open loop: each request is due at its time, whether or not those before it are answered; latency counts from
    then, so a server that falls behind shows it."""
    taken, begun = array("d"), time.perf_counter() + 0.05
    due = iter(range(round(per_s * seconds)))

    async def play(player: _Player) -> None:
        for number in due:
            at = begun + number / per_s
            if (wait := at - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            await player.ask(next(asks))
            taken.append(time.perf_counter() - at)

    await asyncio.gather(*map(play, players))
    return _Run(time.perf_counter() - begun, Latencies(array("d", sorted(taken))))


async def _costed(pid: int, work: Coroutine[Any, Any, _Run]) -> _Run:
    before = cpu_seconds([pid])
    done = await work
    return replace(done, cpu_s=cpu_seconds([pid]) - before)


async def _beside(nodes: list[_Player], beats: Iterator[bytes], work: Coroutine[Any, Any, _Run]) -> _Run:
    """The work, while all nodes go on reporting."""

    over = asyncio.Event()

    async def report() -> None:
        while not over.is_set():
            due = time.perf_counter() + _BEAT_S * len(nodes) / NODES
            await asyncio.gather(*(node.ask(next(beats)) for node in nodes))
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    reporting = asyncio.ensure_future(report())
    try:
        return await work
    finally:
        over.set()
        await reporting


async def _every(nodes: list[_Player], beats: Iterator[bytes], count: int) -> None:
    for _ in range(count):
        await nodes[0].ask(next(beats))


def _polls(key: bytes) -> Iterator[bytes]:
    """Polls of many sessions, without end."""
    chance, sealing = random.Random(1), steering_key(key)  # noqa: S311 (no secret)
    made = []
    for number in range(SESSIONS):
        edges = tuple(f"edge-{at}" for at in chance.sample(range(NODES), 3))
        token = seal(sealing, Session(f"{number:032x}", f"title-{number % 1000}", "default", "192.0.2.0/24", edges))
        query = f"_HLS_pathway={chance.choice('AAAB')}&_HLS_throughput={chance.randint(10**6, 10**7)}"
        made.append(
            f"GET {PATH}{token}?{query} HTTP/1.1\r\nHost: control.test\r\nOrigin: https://page.test\r\n"
            "Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nUser-Agent: bench\r\n\r\n".encode()
        )
    while True:
        yield from made


def _beats(key: bytes) -> Iterator[bytes]:
    """Signed heartbeats of the nodes in turn; their loads move. Signed anew once a round: signatures end."""
    chance = random.Random(2)  # noqa: S311 (no secret)
    credentials = [issue(key, f"edge-{number}", "edge") for number in range(NODES)]
    while True:
        for number, credential in enumerate(credentials):
            load = LoadParts(cpu=chance.uniform(20, 60), egress=chance.uniform(20, 60))
            url = f"http://edge-{number}.test"
            body = Heartbeat(role="edge", url=url, region="default", load=load, started=1.0).encode()
            target = HEARTBEAT_PATH.format(id=credential.id)
            signature = credential.sign("control", method="POST", target=target, now=time.time(), body=body)
            yield (
                f"POST {target} HTTP/1.1\r\nHost: control.test\r\n{NODE}: {signature}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body


@asynccontextmanager
async def _players(port: int, count: int) -> AsyncIterator[list[_Player]]:
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(_Player, "127.0.0.1", port))[1] for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


@contextmanager
def _control(folder: Path, redis: str | None) -> Iterator[tuple[int, int]]:
    """(port, pid) of a control process."""
    ports = _free_ports(2)
    settings = ControlSettings(
        listen=f"127.0.0.1:{ports[0]}",
        admin=f"127.0.0.1:{ports[1]}",
        fleet_key_file=folder / "fleet.key",
        redis_url=redis,
        expiry_s=60.0,
    )
    file = folder / "control.toml"
    file.write_text(to_toml(settings))
    command = [sys.executable, "-m", "control.main", "--config", str(file), "--log-level", "error"]
    with _process(command, folder / "control.log") as process:
        _until_it_listens(process, ("127.0.0.1", ports[0]), folder / "control.log")
        yield ports[0], process.pid


@contextmanager
def _redis(folder: Path) -> Iterator[str | None]:
    """The URL of a Redis of our own; None where no redis-server is installed: then the map lives in control."""
    if shutil.which("redis-server") is None:
        yield None
        return
    path = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
    with _process(command, folder / "redis.log") as process:
        _until_it_listens(process, str(path), folder / "redis.log")
        yield f"unix://{path}"


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_it_listens(process: subprocess.Popen[bytes], address: tuple[str, int] | str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    while True:
        with socket.socket(family) as link:
            if link.connect_ex(address) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise UpstreamFailed(f"it does not listen: {log.read_text()[-500:]}")
        time.sleep(0.02)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        links = [stack.enter_context(socket.socket()) for _ in range(count)]
        for link in links:
            link.bind(("127.0.0.1", 0))
        return [int(link.getsockname()[1]) for link in links]


def _apart(pid: int) -> int:
    """Control on the first core, we on the others; how many there are."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, cores[:1])
        os.sched_setaffinity(0, cores[1:])
    return len(cores)
