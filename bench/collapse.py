"""Many clients wait for one cold object: how often upstream is asked, and when all have the last byte."""

import asyncio
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.client import Getter, connected
from bench.node import Node, NodeFailed, Setting, running
from bench.origin import Origin, origin
from bench.report import Report

_BODY = 256 * 2**10
_TARGET = "/content/premiere/v1/video/seg00000.m4s"
_LOOK_S = 0.05
_GATHER_S = 25.0
"""Clients gather for less than a follower's patience (`follow_timeout_s`)."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Wave:
    """All clients once: seconds from the origin's word (or the first request) to the last byte of all."""

    seconds: float
    digests: frozenset[bytes]


async def collapse(clients: int, workers: int = 2, say: Say = lambda _: None) -> Report:
    """Measure. The baseline is the same clients asking for the same object when it is stored."""
    _raise_descriptor_limit(clients)
    body = os.urandom(_BODY)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        async with origin(body) as upstream:
            setting = Setting(Path(folder) / "cache", upstream.url, workers=workers)
            with running(setting) as node:
                return await _measure(node, upstream, body, clients, workers, say)


async def _measure(node: Node, upstream: Origin, body: bytes, clients: int, workers: int, say: Say) -> Report:
    say(f"connecting {clients:,} clients")
    async with connected(node.port, clients) as getters:
        say("waiting for a cold object")
        cold = await _cold(node, upstream, getters, workers)
        asked = upstream.asked
        say("asking for it again")
        warm = await _stored(getters)
    equal = cold.digests | warm.digests == {hashlib.sha256(body).digest()}
    return _report(clients, workers, asked, upstream.asked - asked, cold, warm, equal=equal)


def _report(clients: int, workers: int, asked: int, again: int, cold: _Wave, warm: _Wave, *, equal: bool) -> Report:
    """One wave of each is no ratio to compare from day to day: the times are figures only."""
    failed = []
    if asked != 1:
        failed.append(f"{asked} upstream requests for one cold object; 1 is wanted")
    if not equal:
        failed.append("not every client got the origin's bytes")
    return Report(
        "collapse",
        {"clients": clients, "workers": workers, "body_bytes": _BODY},
        {
            "upstream_requests": asked,
            "upstream_requests_when_stored": again,
            "cold_s": round(cold.seconds, 3),
            "stored_s": round(warm.seconds, 3),
            "cold_over_stored": round(cold.seconds / warm.seconds, 3),
            "all_equal": equal,
        },
        {"upstream_requests": float(asked)},
        tuple(failed),
    )


async def _cold(node: Node, upstream: Origin, getters: list[Getter], workers: int) -> _Wave:
    """All ask; when all but a leader a worker are known to wait, the origin answers and the clock starts."""
    asking = asyncio.gather(*(getter.get(_TARGET) for getter in getters))
    try:
        async with asyncio.timeout(_GATHER_S):
            while await asyncio.to_thread(node.metric, "headrace_waiting") < len(getters) - workers:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
        began = time.perf_counter()
        upstream.open.set()
        digests = frozenset(await asking)
        return _Wave(time.perf_counter() - began, digests)
    except TimeoutError:
        raise NodeFailed(f"not all clients were waiting after {_GATHER_S:g} s") from None
    finally:
        asking.cancel()


async def _stored(getters: list[Getter]) -> _Wave:
    began = time.perf_counter()
    digests = frozenset(await asyncio.gather(*(getter.get(_TARGET) for getter in getters)))
    return _Wave(time.perf_counter() - began, digests)


def _raise_descriptor_limit(clients: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, clients + 1_000)), hard))
