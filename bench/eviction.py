"""Byte and object miss ratios of the orders of eviction that a node can run, beside LRU and beside others' caches."""

from collections.abc import Callable
from typing import Any

from bench.replay import Marks, Misses, replay
from bench.report import Report
from bench.trace import Trace
from bench.viewers import Viewers
from bench.workload import Workload
from proxy.store.evict import Evictor, Lru, Sieve

SHARES = (0.01, 0.05, 0.10)
"""Cache sizes as parts of the footprint."""
WARM = 0.25
"""The first part of a trace fills the cache; what it misses says nothing of an order."""
TARGET = 0.90
"""Issue 3: a byte miss ratio at least 10 % below LRU's."""
ADMIT_ABOVE = 16 * 2**10
"""Bytes above which admission is asked, a node's default: small playlists and init segments are stored without."""
CHOSEN = "SIEVE+admission"
Say = Callable[[str], None]

NODE: dict[str, tuple[Callable[[int], Evictor], int | None]] = {
    "LRU": (lambda _: Lru(), None),
    "LRU+admission": (lambda _: Lru(), ADMIT_ABOVE),
    "SIEVE": (lambda objects: Sieve(objects), None),
    CHOSEN: (lambda objects: Sieve(objects), ADMIT_ABOVE),
}
"""What a node can run, with the very classes of proxy.store: the order over so many objects, and admission's bound."""


def eviction(
    workload: Workload,
    zipfs: tuple[float, ...] = (0.9,),
    shares: tuple[float, ...] = SHARES,
    *,
    oracle: bool = False,
    say: Say = lambda _: None,
) -> Report:
    """Measure, for each skew and each size. `oracle`: others' caches too (libcachesim), at whole sizes without a node's
    watermarks; ours must then agree with theirs to the byte."""
    rows: list[dict[str, Any]] = []
    traces = {}
    for zipf in zipfs:
        load = workload.model_copy(update={"zipf": zipf})
        trace = _trace(load, say)
        traces[f"{zipf:g}"] = _facts(trace)
        for share in shares:
            rows += [{"zipf": zipf, "share": share, **row} for row in _rows(trace, share, say, oracle=oracle)]
    ratios = {
        f"{row['policy']}/zipf {row['zipf']:g}/{row['share']:.0%}": row["of_lru"]
        for row in rows
        if row["in"] == "node" and row["policy"] != "LRU"
    }
    parameters = {**workload.model_dump(include={"seed", "titles", "sessions", "days"}), "warm": WARM}
    return Report("eviction", parameters, {"traces": traces, "rows": rows}, ratios, _missed(rows))


def _trace(load: Workload, say: Say) -> Trace:
    trace = Trace()
    for part, trace in enumerate(Viewers(load).run()):  # noqa: B007 the last one is the whole
        say(f"viewers at zipf {load.zipf:g}: {part} % of their days")
    return trace


def _facts(trace: Trace) -> dict[str, Any]:
    return {
        "requests": len(trace),
        "objects": len(trace.sizes),
        "footprint_gb": round(trace.footprint / 1e9, 1),
        "asked_once": round(trace.asked_once(), 3),
        "digest": trace.digest()[:16],
    }


def _rows(trace: Trace, share: float, say: Say, *, oracle: bool) -> list[dict[str, Any]]:
    limit, warm, count = int(trace.footprint * share), int(len(trace) * WARM), len(trace.sizes)
    found: dict[str, Misses] = {}
    for policy, (make, above) in NODE.items():
        say(f"{policy} with {share:.0%} of {count:,} objects")
        found[policy] = replay(trace, make(count), limit, warm=warm, admit_above=above)
    rows = [_row("node", policy, misses, found["LRU"]) for policy, misses in found.items()]
    return rows + _others(trace, limit, warm, say) if oracle else rows


def _others(trace: Trace, limit: int, warm: int, say: Say) -> list[dict[str, Any]]:
    """The policies of libcachesim, and ours as it runs them."""
    from bench.oracle import POLICIES, next_uses, theirs  # a development dependency, needed only here

    found: dict[str, Misses] = {}
    for policy in ("LRU", "SIEVE"):
        evictor = NODE[policy][0](len(trace.sizes))
        found[f"our {policy}"] = replay(trace, evictor, limit, warm=warm, marks=Marks(1.0, 1.0))
    for policy in POLICIES:
        say(f"libcachesim's {policy}")
        ahead = next_uses(trace) if policy == "Belady" else None
        found[policy] = theirs(policy, trace, limit, warm=warm, ahead=ahead)
    return [_row("libcachesim", policy, misses, found["LRU"]) for policy, misses in found.items()]


def _row(where: str, policy: str, misses: Misses, lru: Misses) -> dict[str, Any]:
    return {
        "in": where,
        "policy": policy,
        "byte_miss_ratio": round(misses.byte_ratio, 4),
        "miss_ratio": round(misses.ratio, 4),
        "of_lru": round(misses.byte_ratio / lru.byte_ratio, 4),
        "refused": misses.refused,
    }


def _missed(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(
        f"zipf {row['zipf']:g}, {row['share']:.0%}: {CHOSEN} misses {1 - row['of_lru']:.1%} less than LRU; 10 % wanted"
        for row in rows
        if row["in"] == "node" and row["policy"] == CHOSEN and row["of_lru"] > TARGET
    )
