"""A bounded map in two generations (kit.memo)."""

import random

import pytest

from kit.memo import Memo, SecondChance


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


class _Value:
    def __init__(self) -> None:
        self.used = False


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_second_chance_holds_as_many_as_it_says(most: int) -> None:
    """Of what is asked for by popularity nothing goes while all of it has room (issue 4: 100,000 objects)."""
    held: SecondChance[int, _Value] = SecondChance(most)
    for key in range(3 * most):
        held.put(key, _Value())
        assert len(held) == min(key + 1, most)
    assert [key for key in range(3 * most) if held.get(key)] == list(range(2 * most, 3 * most))


def test_second_chance_passes_over_what_was_used_once() -> None:
    held: SecondChance[str, _Value] = SecondChance(3)
    for name in "abc":
        held.put(name, _Value())
    (first := held.get("a") or _Value()).used = True
    held.put("d", _Value())
    assert held.get("a") is first
    assert held.get("b") is None
    assert not first.used
