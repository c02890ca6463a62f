"""Rendezvous hashing (highest random weight) with bounded loads: who is asked for a key, and who next.

Pure and stable: the same key and nodes give the same order in every process, on every machine, in any order of
`nodes`. When a node leaves, only its own keys move. Used by steering (title -> edge) and by edges (object -> shield).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

FACTOR = 1.25
"""How far above the mean a node may be before keys pass on to the next."""


def rank(key: str, nodes: Sequence[str], weights: Mapping[str, float] | None = None) -> list[str]:
    """All `nodes`, best first for `key`.

    `weights` (above 0, default 1) give a node that many times the keys. A node twice in `nodes` is an error.
    """
    if len(set(nodes)) != len(nodes):
        raise ValueError("a node is listed twice")
    seed = blake2b(digest_size=8)
    seed.update(key.encode("utf-8", "surrogatepass") + b"\0")
    scored = [(_score(seed, node, weights.get(node, 1.0) if weights else 1.0), node) for node in nodes]
    scored.sort(reverse=True)
    return [node for _, node in scored]


def bound(loads: Iterable[float], factor: float = FACTOR) -> float:
    """The load above which a node passes keys on: ceil(mean * factor). At least one node is never above it."""
    values = list(loads)
    return float(math.ceil(math.fsum(values) / len(values) * factor)) if values else 0.0


def within(ranked: Iterable[str], loads: Mapping[str, float], limit: float) -> Iterator[str]:
    """`ranked` again, those above `limit` moved behind all others. Lazy: the best costs little."""
    above = []
    for node in ranked:
        if loads[node] <= limit:
            yield node
        else:
            above.append(node)
    yield from above


def bounded(
    key: str, loads: Mapping[str, float], factor: float = FACTOR, weights: Mapping[str, float] | None = None
) -> str:
    """The node for `key`: the best-ranked whose load is within the bound. ValueError when `loads` is empty.

    `loads` is of any one unit (requests under way, percent). With counts, a node is given at most one more than the
    bound.
    """
    if not loads:
        raise ValueError("no node to choose from")
    return next(within(rank(key, sorted(loads), weights), loads, bound(loads.values(), factor)))


def draw(*about: str) -> float:
    """A number from 0 to below 1 that is always the same for the same words, and says nothing about other words'."""
    words = "\0".join(about).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(words, digest_size=6).digest(), "big") / 2**48


def _score(seed: "blake2b", node: str, weight: float) -> float:
    """Logarithmic method of weighted rendezvous hashing: -weight / ln(u), u uniform in (0, 1)."""
    state = seed.copy()
    state.update(node.encode("utf-8", "surrogatepass"))
    u = (int.from_bytes(state.digest(), "big") + 0.5) / 2**64
    return -weight / math.log(u) if u < 1.0 else math.inf
