"""Which variant a request selects (RFC 9111 4.1), for the fast lane: the rules' own answer, remembered by its fields.

Players say the same from request to request, so the choice among the variants of a target is a look-up.
"""

from typing import NamedTuple

from kit.memo import Memo
from proxy.http.fields import Fields
from proxy.rules.selecting import Names, selected
from proxy.rules.variants import slot
from proxy.serve.heads import CONDITIONS, Block
from proxy.serve.onward import Onward
from proxy.serve.tier import Tier

_REMEMBERED = 4096
_DRAWN = ""
"""For an id that will be drawn: no stored variant was selected by it."""


class Selection(NamedTuple):
    """The selecting fields of a request in their normal form, and the slot of its variant."""

    forms: Fields
    slot: str


class Selections:
    """Those of one worker's viewers."""

    def __init__(self, name: str, tier: Tier) -> None:
        self._onward = Onward(name, tier)
        self._known: Memo[tuple[Block, Names], Selection] = Memo(_REMEMBERED)

    def of(self, block: Block, names: Names) -> Selection:
        """What `names` select of what upstream would get to see of a request with these fields."""
        known = self._known.get((block, names))
        if known is None:
            request = self._onward.of(block.fields, block.request_id or _DRAWN, CONDITIONS)
            known = Selection(selected(names, request), slot(names, request))
            if block.repeats:
                self._known.put((block, names), known)
        return known
