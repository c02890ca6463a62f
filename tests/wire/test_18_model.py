"""Store, purge and fill against a model of a few lines (issue 3): whatever two workers, a keeper, an origin and an
operator do in whatever order, a viewer gets a whole answer, never one from before a purge that had ended when it asked,
never one that was out of date for longer than its lifetime; and nothing is left behind.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.admit.open import OpenTier
from kit.clock import ManualClock
from kit.metrics import Board
from proxy.host.worker import families
from proxy.store import disk
from proxy.store.evict import Sieve
from proxy.store.purge import Purge
from tests.support.nodes import Node, lone_keeper, node
from tests.support.upstream import Call, upstream
from tests.support.wire import Answer, until

T = TypeVar("T")
LIFETIME = 20
SIZES = {"/one": 40, "/two": 90_000, "/deep/three": 300_000}
"""In memory, in a file, and more than one piece. Their tags: odd, even, odd."""
TAGS = {"/one": "odd", "/two": "even", "/deep/three": "odd"}
DISK = 560_000
"""Not all of it has room at once: the index takes about 130,000."""
SLOTS = 100
_targets = st.sampled_from(sorted(SIZES))
_workers = st.integers(0, 1)


def body_of(target: str, version: int) -> bytes:
    """What the origin says in a version."""
    return f"{target} {version};".encode().ljust(SIZES[target], b"%d" % (version % 10))


class Origin:
    """Knows its versions and since when each was; holds answers back when told."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.versions = {target: [clock.wall()] for target in SIZES}
        self.held = asyncio.Event()
        self.held.set()
        self.half = False

    def version(self, target: str) -> int:
        """The present version, from 0."""
        return len(self.versions[target]) - 1

    def oldest_allowed(self, target: str, now: float) -> int:
        """The version that was the present one a lifetime ago."""
        return max(0, sum(since <= now - LIFETIME for since in self.versions[target]) - 1)

    async def script(self, call: Call) -> None:
        """Play the origin."""
        if call.method == "POST":
            self.versions[call.target].append(self.clock.wall())
            await call.answer()
            return
        if not self.half:
            await self.held.wait()
        version = self.version(call.target)
        fields = {
            "ETag": f'"{version}"',
            "Cache_Control": f"max-age={LIFETIME}",
            "Cache_Groups": f'"{TAGS[call.target]}"',
        }
        if call.field("If-None-Match") == f'"{version}"':
            await call.answer(b"", 304, **fields)
            return
        body = body_of(call.target, version)
        if not self.half:
            await call.answer(body, **fields)
            return
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        await call.send(f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body[:20])
        await self.held.wait()
        await call.send(body[20:])


class Cache(RuleBasedStateMachine):
    """The node and what the world does to it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp(prefix="headrace-model-"))
        self.clock = ManualClock()
        self.board = Board(families(OpenTier.reasons), 3)
        self.leases = os.memfd_create("leases")
        self.floor = dict.fromkeys(SIZES, 0)
        self.waiting: list[tuple[str, int, asyncio.Task[Answer]]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the world go on until `work` is done."""
        return self.runner.run(work)

    @initialize()
    def start(self) -> None:
        disk.prepare(self.directory)
        sieve = Sieve(SLOTS)
        self.keeper = lone_keeper(self.directory, DISK, SLOTS, sieve, self.board, self.clock)
        self.keeper.start()
        self.run(self._start(sieve))

    async def _start(self, sieve: Sieve) -> None:
        self.origin = Origin(self.clock)
        self.stack = contextlib.AsyncExitStack()
        self.server = await self.stack.enter_async_context(upstream(self.origin.script))
        self.lives = [contextlib.AsyncExitStack(), contextlib.AsyncExitStack()]
        self.sieve = sieve
        self.nodes: list[Node] = [await self._begin(0), await self._begin(1)]

    async def _begin(self, number: int) -> Node:
        more = {"visited": self.sieve.visited, "leases": self.leases, "store": {"disk": DISK}}
        return await self.lives[number].enter_async_context(
            node(self.directory, self.server.url, board=self.board, number=number, clock=self.clock, **more)
        )

    def _key(self, path: str) -> str:
        return self.server.url.removeprefix("http://") + path

    def _least(self, path: str) -> int:
        """The oldest version that whoever asks now may get."""
        return max(self.floor[path], self.origin.oldest_allowed(path, self.clock.wall()))

    @rule(path=_targets)
    def change(self, path: str) -> None:
        self.origin.versions[path].append(self.clock.wall())

    @precondition(lambda self: self.origin.held.is_set())
    @rule(worker=_workers, path=_targets)
    def get(self, worker: int, path: str) -> None:
        least = self._least(path)
        self._check(path, least, self.run(self.nodes[worker].get(path)))

    @rule(half=st.booleans())
    def hold(self, half: bool) -> None:
        """The origin lets what comes now wait: for the head, or in the body."""
        if self.origin.held.is_set():
            self.origin.held.clear()
            self.origin.half = half

    @precondition(lambda self: not self.origin.held.is_set() and len(self.waiting) < 6)
    @rule(worker=_workers, path=_targets)
    def begin(self, worker: int, path: str) -> None:
        self.run(self._ask(worker, path))

    async def _ask(self, worker: int, path: str) -> None:
        task = asyncio.create_task(self.nodes[worker].get(path))
        self.waiting.append((path, self._least(path), task))
        await asyncio.wait([task], timeout=0.01)

    @precondition(lambda self: not self.origin.held.is_set())
    @rule()
    def release(self) -> None:
        self.run(self._release())

    async def _release(self) -> None:
        self.origin.held.set()
        for path, least, task in self.waiting:
            self._check(path, least, await task)
        self.waiting = []

    @rule(
        by=st.sampled_from(["key", "prefix", "tag"]),
        path=_targets,
        soft=st.booleans(),
    )
    def purge(self, by: str, path: str, soft: bool) -> None:
        what = {"key": self._key(path), "prefix": self._key(path[:2]), "tag": TAGS[path]}[by]
        self.run(self._purge(Purge(by, what, soft)))  # type: ignore[arg-type]
        for each in SIZES:
            if each == path or (by == "prefix" and each.startswith(path[:2])) or (by == "tag" and TAGS[each] == what):
                self.floor[each] = self.origin.version(each)

    async def _purge(self, purge: Purge) -> None:
        async with asyncio.timeout(10):
            await asyncio.wrap_future(self.keeper.purge(purge))

    @precondition(lambda self: self.origin.held.is_set())
    @rule(worker=_workers, path=_targets)
    def post(self, worker: int, path: str) -> None:
        assert self.run(self.nodes[worker].get(path, "POST", b"x")).status == 200
        self.floor[path] = self.origin.version(path)

    @precondition(lambda self: self.origin.held.is_set())
    @rule(seconds=st.integers(1, 30))
    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.origin.held.is_set())
    @rule(number=_workers)
    def restart(self, number: int) -> None:
        self.run(self._restart(number))

    async def _restart(self, number: int) -> None:
        await self.lives[number].aclose()
        self.nodes[number] = await self._begin(number)

    def _check(self, path: str, least: int, got: Answer) -> None:
        assert got.status == 200
        version = int(got.body[: got.body.index(b";")].rsplit(b" ", 1)[1])
        assert got.body == body_of(path, version)
        assert version >= least, f"{path}: version {version} of before {least}"

    @invariant()
    def within_bounds(self) -> None:
        assert not self.server.failures

    def teardown(self) -> None:
        if not hasattr(self, "stack"):
            return
        if not self.origin.held.is_set():
            self.release()
        self.run(self._end())
        self.keeper.close()
        kept = sum(disk.size_of(path) for path in self.directory.glob("??/*"))
        assert kept <= DISK
        self.runner.close()
        os.close(self.leases)
        self.board.close()

    async def _end(self) -> None:
        await until(lambda: not list((self.directory / "parts").glob("*.*.*")), "no part is left")
        for each in (*self.lives, self.stack):
            await each.aclose()


SEEDED = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_store_purge_and_fill_agree_with_the_model() -> None:
    """The seeded, small form."""
    run_state_machine_as_test(Cache, settings=SEEDED)


@pytest.mark.soak
def test_store_purge_and_fill_agree_with_the_model_at_length() -> None:
    """Other sequences each time."""
    run_state_machine_as_test(
        Cache, settings=settings(SEEDED, max_examples=1500, stateful_step_count=60, derandomize=False)
    )
