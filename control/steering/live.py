"""What players that poll are told: HLS (rfc8216bis 7) and DASH (ETSI TS 103 998) content steering, one answer for both.

A genuine token always gets an answer: a player that is refused or told to wait may never ask again.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import orjson

from control.registry.model import NodeMap
from control.steering.changes import Changes
from control.steering.choose import Policy
from control.steering.order import Order, Rules, Why, order
from control.steering.overrides import Override, wishes
from control.steering.session import PATHWAYS, Session, seal, steering_key, unseal
from kit.memo import Memo

PATH = "/steer/"
REMEMBERED = 100_000
"""Sessions whose tokens need not be checked again."""
_PATHWAY = re.compile(r"(?:^|&)_(?:HLS|DASH)_pathway=([^&]{1,200})")


@dataclass(frozen=True, slots=True)
class Known:
    """What does not change of a session: kept with its token."""

    session: Session
    reload: str


class Live:
    """Steers the running sessions of one installation. `base`: how players reach control, no slash at the end; None
    where they cannot, and no session is steered. `picture`: the map now; `overrides`: those in force."""

    def __init__(
        self,
        fleet_key: bytes,
        base: str | None,
        *,
        policy: Policy,
        rules: Rules,
        picture: Callable[[], NodeMap],
        overrides: Callable[[], tuple[Override, ...]],
        losses: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """`losses`: see order."""
        self._key, self.base = steering_key(fleet_key), base
        self._policy, self._rules = policy, rules
        self._picture, self._overrides, self._losses = picture, overrides, losses
        self._changes = Changes((policy.eligible_load, rules.leave_load), rules.calm_ttl_s)
        self._known: Memo[str, Known] = Memo(REMEMBERED)
        self.told: Counter[Why] = Counter()
        """Answers, by what became of the session."""

    def url(self, session: Session) -> str | None:
        """Where the player of `session` asks; None where it has nowhere else to go, or cannot reach us."""
        if self.base is None or len(session.edges) < 2:
            return None
        return self.base + PATH + seal(self._key, session)

    def answer(self, token: str, query: str, now: float) -> bytes:
        """The steering manifest for one poll. SteeringTokenRefused for a token that is not ours, nothing else."""
        known = self._known.get(token)
        if known is None:
            known = Known(unseal(self._key, token), f"{self.base or ''}{PATH}{token}")
            self._known.put(token, known)
        decided = self.decide(known.session, current(query, len(known.session.edges)), now)
        self.told[decided.why] += 1
        return orjson.dumps(
            {
                "VERSION": 1,
                "TTL": decided.ttl_s,
                "RELOAD-URI": known.reload,
                "PATHWAY-PRIORITY": [PATHWAYS[place] for place in decided.places],
            }
        )

    def decide(self, session: Session, place: int, now: float) -> Order:
        """The order for a session that plays from its pathway `place`."""
        nodes, overrides = self._picture(), self._overrides()
        self._changes.look(nodes, now)
        said = wishes(overrides, session.content_id, session.region, session.id)
        return order(session, place, nodes, now, self._policy, self._rules, self._changes.last, said, self._losses())


def current(query: str, count: int) -> int:
    """Which pathway the player says that it plays from; the first where it says nothing that we know. DASH players may
    quote it, and name several: the last is the newest."""
    found = _PATHWAY.search(query)
    named = unquote(found[1]).replace('"', "").split(",")[-1].strip() if found else ""
    place = PATHWAYS.find(named) if len(named) == 1 else -1
    return place if 0 <= place < count else 0
