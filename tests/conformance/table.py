"""All rows, and the count of the public suite's tests among them."""

from collections import Counter

from tests.conformance import (
    rows_conditions,
    rows_dates,
    rows_fields,
    rows_forwarding,
    rows_freshness,
    rows_invalidation,
    rows_partial,
    rows_requests,
    rows_stale,
    rows_storing,
    rows_targeted,
    rows_validation,
    rows_variants,
)
from tests.conformance.case import Case, Kind

ROWS: tuple[Case, ...] = (
    *rows_freshness.ROWS,
    *rows_dates.ROWS,
    *rows_storing.ROWS,
    *rows_fields.ROWS,
    *rows_validation.ROWS,
    *rows_conditions.ROWS,
    *rows_variants.ROWS,
    *rows_partial.ROWS,
    *rows_invalidation.ROWS,
    *rows_stale.ROWS,
    *rows_targeted.ROWS,
    *rows_requests.ROWS,
    *rows_forwarding.ROWS,
)

NOT_PLAYED: dict[str, tuple[Kind, str]] = {
    "headers-store-Transfer-Encoding": (Kind.REQUIRED, "the value that it sends is no transfer coding: not HTTP"),
}
"""Tests of the public suite for a shared cache that no row plays, and why. Those for browsers are not counted."""


def table() -> str:
    """The count by kind: what the rows meet, where they differ, what is not played."""
    public = [(each.public.kind, each.differs is None) for each in ROWS if each.public]
    counts = Counter(public)
    left = Counter(kind for kind, _ in NOT_PLAYED.values())
    lines = [f"{'':10}{'as asked':>10}{'otherwise':>11}{'not played':>12}"]
    lines += [f"{kind:10}{counts[kind, True]:10}{counts[kind, False]:11}{left[kind]:12}" for kind in Kind]
    return "\n".join(f"    {line}" for line in lines)
