"""The same trace through libcachesim's caches: others' code, to check ours by and to see what other policies would do.

libcachesim is a development dependency (`.[test]`); only this module imports it.
"""

import contextlib
import ctypes
import os
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import libcachesim

from bench.replay import Misses
from bench.trace import Trace

_NEVER = 2**62

POLICIES: dict[str, Callable[[int], Any]] = {
    "LRU": lambda limit: libcachesim.LRU(cache_size=limit),
    "SIEVE": lambda limit: libcachesim.Sieve(cache_size=limit),
    "S3-FIFO": lambda limit: libcachesim.S3FIFO(cache_size=limit),
    "W-TinyLFU": lambda limit: libcachesim.WTinyLFU(cache_size=limit),
    "GDSF": lambda limit: libcachesim.GDSF(cache_size=limit),
    "Belady": lambda limit: libcachesim.Belady(cache_size=limit),
}
"""By name, given a size in bytes. Belady sees the future: no policy that does not can be much better."""


def theirs(name: str, trace: Trace, limit: int, *, warm: int = 0, ahead: "array[int] | None" = None) -> Misses:
    """Run `trace` through one of POLICIES, which evicts one by one. `ahead`: next_uses(trace), for Belady."""
    with _chatter_aside():
        return _run(POLICIES[name](limit), trace, warm, ahead)


def _run(cache: Any, trace: Trace, warm: int, ahead: "array[int] | None") -> Misses:
    counted = Misses()
    request, sizes, get = libcachesim.Request(), trace.sizes, cache.get
    for at, number in enumerate(trace.objects):
        size = sizes[number]
        request.obj_id, request.obj_size, request.clock_time = number + 1, size, int(trace.times[at])
        if ahead is not None:
            request.next_access_vtime = ahead[at]
        hit = get(request)
        if at >= warm:
            counted.requests += 1
            counted.bytes += size
            if not hit:
                counted.missed += 1
                counted.missed_bytes += size
    return counted


def next_uses(trace: Trace) -> "array[int]":
    """For each request the place of the next one for the same object."""
    ahead = array("q", bytes(8 * len(trace)))
    seen: dict[int, int] = {}
    for at in range(len(trace) - 1, -1, -1):
        number = trace.objects[at]
        ahead[at] = seen.get(number, _NEVER)
        seen[number] = at
    return ahead


@contextlib.contextmanager
def _chatter_aside() -> Iterator[None]:
    """W-TinyLFU writes remarks to standard output, where our JSON line belongs: they go to standard error."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
