"""Which answers are pinned: small ones without which nothing plays, so they are evicted last. Pure."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from proxy.http.fields import single
from proxy.rules.meta import Meta
from proxy.rules.variants import MARK as VARIANT

MOST_BYTES = 1 << 20


class Pinning:
    """By media type, or by the last element of the path: `*` stands for any text."""

    def __init__(self, types: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        self._types = frozenset(each.lower() for each in types)
        self._names = tuple(names)

    def pins(self, meta: Meta, length: int) -> bool:
        """Whether an answer with a body of `length` bytes is pinned."""
        if length > MOST_BYTES:
            return False
        media = (single(meta.fields, "Content-Type") or "").partition(";")[0].strip().lower()
        name = meta.key.partition(VARIANT)[0].partition("?")[0].rpartition("/")[2]
        return media in self._types or any(fnmatchcase(name, each) for each in self._names)


NOTHING_PINNED = Pinning()
