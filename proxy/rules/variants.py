"""Several answers under one key, one a variant (RFC 9111 4.1), in a store that knows keys only.

Under the key lies either an answer or a list: which fields select, and a random generation. A variant lies under
`slot_key`: key, generation and a slot that its selecting fields hash to. So whoever finds the list finds every
variant, after a restart and in another worker; what removes the list (an invalidation, a purge) removes the
generation with it, and no variant of before can be found any more. There are SLOTS slots a key: more variants than
that replace one another, and nothing grows. Whoever takes a variant out of a slot asks `matches` of it: a slot may
hold another one.
"""

from dataclasses import dataclass, replace
from hashlib import blake2b

from proxy.http.fields import Fields
from proxy.rules.meta import Meta
from proxy.rules.selecting import Names, selected

SLOTS = 256
"""Variants of one key at most."""
MOST_SETS = 4
"""Sets of selecting fields that a list remembers, the latest first: an origin may name others for other answers."""
MARK = "\n"
"""Stands between a key and what tells its variants apart; no target can hold it."""
_LIST = 0
"""The status of a list, which no answer has."""


@dataclass(frozen=True, slots=True)
class Variants:
    """The list under a key."""

    generation: str
    sets: tuple[Names, ...]

    def with_set(self, names: Names) -> "Variants":
        """The list with `names` as its latest set."""
        return replace(self, sets=(names, *(each for each in self.sets if each != names))[:MOST_SETS])


def to_meta(key: str, variants: Variants, now: float) -> Meta:
    """A list as the store keeps it."""
    rows = tuple(("names", ",".join(names)) for names in variants.sets)
    return Meta(key, _LIST, (("generation", variants.generation), *rows), now, now)


def from_meta(meta: Meta) -> Variants | None:
    """The list that is stored here; None when it is an answer."""
    if meta.status != _LIST:
        return None
    sets = tuple(tuple(value.split(",")) for name, value in meta.fields if name == "names")
    return Variants(dict(meta.fields).get("generation", ""), sets)


def slot_key(key: str, variants: Variants, names: Names, request: Fields) -> str:
    """What the variant that `names` select for `request` is stored under."""
    return key_in(key, variants, slot(names, request))


def slot(names: Names, request: Fields) -> str:
    """The slot of the variant that `names` select for `request`."""
    return f"{_hash(names, request)[0]:02x}"


def key_in(key: str, variants: Variants, place: str) -> str:
    """What a variant in the slot `place` is stored under."""
    return f"{key}{MARK}{variants.generation}{place}"


def flight_key(key: str, names: Names, request: Fields) -> str:
    """Requests that `names` do not tell apart; they may wait for one another."""
    return f"{key}{MARK}{_hash(names, request).hex()}" if names else key


def _hash(names: Names, request: Fields) -> bytes:
    state = blake2b(digest_size=20)
    for name, form in selected(names, request):
        state.update(f"{len(name)}:{name}{len(form)}:{form}".encode("utf-8", "surrogateescape"))
    return state.digest()
