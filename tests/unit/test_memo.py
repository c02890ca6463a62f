"""A bounded map in two generations (kit.memo)."""

import random

import pytest

from kit.memo import Memo


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_it_never_holds_more_than_allowed_nor_anything_wrong(most: int) -> None:
    memo: Memo[int, int] = Memo(most)
    numbers = random.Random(1)
    for _ in range(5000):
        key = numbers.randrange(3 * most)
        assert memo.get(key) in (None, -key - 1)
        memo.put(key, -key - 1)
        assert memo.get(key) == -key - 1
        assert len(memo) <= max(2, most)


def test_what_is_asked_for_stays_and_what_is_not_goes() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("asked", 1)
    memo.put("forgotten", 2)
    for number in range(50):
        assert memo.get("asked") == 1
        memo.put(f"passing {number}", number)
    assert memo.get("forgotten") is None
