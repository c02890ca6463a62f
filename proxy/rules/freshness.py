"""Age and freshness lifetime (RFC 9111 4.2), and how long past it an answer may still serve (RFC 5861)."""

from dataclasses import dataclass

from proxy.http import cache_control, dates
from proxy.http.fields import combined, members, single, values
from proxy.rules.meta import Meta
from proxy.rules.policy import Policy, policy

_HEURISTIC_STATUS = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
_HEURISTIC_SHARE = 0.1
_HEURISTIC_MOST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds. `lifetime` counts from birth; `while_revalidate` and `if_error` from the end of it."""

    lifetime: float
    while_revalidate: float
    if_error: float
    must_revalidate: bool


def freshness(meta: Meta) -> Freshness:
    """What the stored fields allow."""
    known = policy(meta.fields, meta.status)
    strict = any(name in known for name in ("must-revalidate", "proxy-revalidate", "no-cache", "s-maxage"))
    return Freshness(
        lifetime=0.0 if "no-cache" in known else _lifetime(meta, known),
        while_revalidate=0.0 if strict else float(known.seconds("stale-while-revalidate") or 0),
        if_error=0.0 if strict else float(known.seconds("stale-if-error") or 0),
        must_revalidate=strict,
    )


def age(meta: Meta, now: float) -> float:
    """Current age in seconds (RFC 9111 4.2.3), never below 0 whatever the clocks say."""
    stated = next(iter(members(combined(meta.fields, "Age"))), None)  # RFC 9111 5.1: of several the first
    age_value = float(cache_control.seconds({"age": stated}, "age") or 0) if stated else 0.0
    date = dates.parse(single(meta.fields, "Date"))
    apparent = max(0.0, meta.response_time - date) if date is not None else 0.0
    corrected = age_value + max(0.0, meta.response_time - meta.request_time)
    return max(apparent, corrected) + max(0.0, now - meta.response_time)


def _lifetime(meta: Meta, known: Policy) -> float:
    for name in ("s-maxage", "max-age"):
        stated = known.seconds(name)
        if stated is not None:
            return float(stated)
    date = dates.parse(single(meta.fields, "Date"))
    born = meta.response_time if date is None else date
    if values(meta.fields, "Expires") and not known.targeted:
        expires = dates.parse(single(meta.fields, "Expires"))
        return max(0.0, expires - born) if expires is not None else 0.0
    return _heuristic(meta, born, known)


def _heuristic(meta: Meta, born: float, known: Policy) -> float:
    """A tenth of the time since the last change, where RFC 9111 4.2.2 allows a guess at all; no default life."""
    changed = dates.parse(single(meta.fields, "Last-Modified"))
    if changed is None or (meta.status not in _HEURISTIC_STATUS and "public" not in known):
        return 0.0
    return min(_HEURISTIC_MOST_S, max(0.0, (born - changed) * _HEURISTIC_SHARE))
