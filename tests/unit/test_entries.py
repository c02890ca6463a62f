"""What a worker remembers, and who goes when there is no room."""

from proxy.rules.meta import Meta
from proxy.store.bodies import MemoryBody
from proxy.store.entries import Entries, Entry


def _entry(name: str, size: int = 10, *, pinned: bool = False) -> Entry:
    meta = Meta(name, 200, (), 0.0, 0.0)
    return Entry(meta, MemoryBody(bytes(size)), None, 0.0, 0, pinned=pinned)


def _names(gone: list[Entry]) -> list[str]:
    return [each.meta.key for each in gone]


def test_who_was_hit_is_passed_over_once() -> None:
    entries = Entries(3, 1000, 0)
    first, second, third, fourth = (_entry(name) for name in "abcd")
    for each in (first, second, third):
        entries.put(each)
    first.used = True
    assert _names(entries.put(fourth)) == ["b"]
    assert not first.used
    assert _names(entries.put(_entry("e"))) == ["c"]
    assert _names(entries.put(_entry("f"))) == ["d"]
    assert _names(entries.put(_entry("g"))) == ["a"], "its second chance is over"


def test_where_all_are_in_use_the_oldest_goes_after_a_bounded_look() -> None:
    entries = Entries(200, 10_000, 0)
    for number in range(200):
        each = _entry(str(number))
        each.used = True
        entries.put(each)
    assert _names(entries.put(_entry("new"))) == ["64"]
    assert len(entries) == 200


def test_pinned_ones_go_last_in_the_order_in_which_they_came() -> None:
    entries = Entries(2, 1000, 1000)
    one, other = _entry("one", pinned=True), _entry("other", pinned=True)
    entries.put(one)
    entries.put(other)
    one.used = True
    assert _names(entries.put(_entry("plain"))) == ["plain"]
    assert _names(entries.put(_entry("third", pinned=True))) == ["one"]
