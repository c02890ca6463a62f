"""The index of a cache directory: what a purge names, in batches that are dealt with one by one (CDN-15)."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import pytest

from proxy.store.index import BATCH, Index, Row

MANY = 2 * BATCH + 500
Match = Callable[[Index], Iterator[list[Row]]]


def _row(number: int, key: str) -> Row:
    name = blake2b(key.encode(), digest_size=20).digest()
    return Row(name, number, 4096, number + 1, key, (f"title:{key[:3]}", "all"))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path)
    made.put(_row(number, f"o/{'ab'[number % 2]}/{number}") for number in range(2 * MANY))
    made.put([_row(2 * MANY, "o/a"), _row(2 * MANY + 1, "o/" + "long" * 200), _row(2 * MANY + 2, "o/" + "long" * 201)])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("match", "count"),
    [
        (lambda index: index.with_prefix("o/a/"), MANY),
        (lambda index: index.with_prefix("o/a"), MANY + 1),
        (lambda index: index.with_prefix(""), 2 * MANY + 3),
        (lambda index: index.with_tag("all"), 2 * MANY + 3),
        (lambda index: index.with_tag("al"), 0),
        (lambda index: index.with_prefix("o/" + "long" * 200), 2),
        (lambda index: index.with_prefix("o/" + "long" * 201), 1),
        (lambda index: index.with_prefix("p"), 0),
    ],
)
@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
def test_every_match_comes_once_in_batches(index: Index, match: Match, count: int, removed: bool) -> None:
    found: list[bytes] = []
    for rows in match(index):
        assert len(rows) <= BATCH
        found += [row.name for row in rows]
        if removed:
            index.remove(row.name for row in rows)
    assert len(found) == len(set(found)) == count
    assert index.count() == 2 * MANY + 3 - (count if removed else 0)
