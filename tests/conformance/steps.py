"""Steps by how their answer comes about: `told` begins most cases, the others follow. Each takes the lines of the
viewer's request; `told` those of the origin's answer."""

from dataclasses import replace
from typing import Any

from tests.conformance.case import Came, Says, Step

WHILE_S = 3.0
"""What passes after a first answer, where it matters that time passes."""


def told(*lines: str, **more: Any) -> Step:
    """A plain request that is fetched; the origin says `lines`. `status`, `body`, `interim`, `delay` and `dies` are the
    origin's; `hears` are the interim answers that the viewer gets."""
    given = {name: more.pop(name) for name in ("status", "body", "interim", "delay", "dies") if name in more}
    heard = more.pop("hears", ())
    return Step(Came.FETCHED, says=Says(lines, **given), interim=heard, **more)


def fresh(*lines: str, **more: Any) -> Step:
    """Told of an answer that stays fresh; then some time passes."""
    more.setdefault("then", WHILE_S)
    return told("Cache-Control: max-age=100000", "Date: {0}", *lines, **more)


def ages(*lines: str, **more: Any) -> Step:
    """Told of an answer that is stale afterwards."""
    return told("Cache-Control: max-age=2", *lines, **{"then": WHILE_S} | more)


def hit(*ask: str, **more: Any) -> Step:
    """Served from the cache without asking."""
    return Step(Came.HIT, ask, **more)


def stale(*ask: str, **more: Any) -> Step:
    """Served from the cache, stale."""
    return Step(Came.STALE, ask, **more)


def fetched(*ask: str, **more: Any) -> Step:
    """Served from the origin."""
    return Step(Came.FETCHED, ask, **more)


def validated(*ask: str, says: Says | None = None, **more: Any) -> Step:
    """The origin is asked with a validator, and says 304 unless told otherwise."""
    return Step(Came.VALIDATED, ask, says or Says((), 304), **more)


def refetched(*ask: str, says: Says, **more: Any) -> Step:
    """The origin is asked with a validator, then without; it says the same both times."""
    return Step(Came.REFETCHED, ask, says, **more)


def says(*lines: str, **more: Any) -> Says:
    """What the origin says at a later step."""
    return Says(lines, **more)


def not_modified(*lines: str) -> Says:
    """The origin's 304."""
    return Says(lines, 304)


def at(target: str, step: Step) -> Step:
    """The step at another target."""
    return replace(step, target=target)


def asking(step: Step, *ask: str) -> Step:
    """The step with these lines in its request."""
    return replace(step, ask=ask)


def with_method(method: str, step: Step, body: bytes | None = None) -> Step:
    """The step with another method."""
    return replace(step, method=method, body=body)
