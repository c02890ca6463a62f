"""What an edge or a shield tells the engine: who may pass, under which target, and what is added on the way."""

from dataclasses import dataclass
from typing import Protocol

from proxy.http.fields import Fields
from proxy.serve.exchange import Exchange
from proxy.serve.rendering import Rendering


@dataclass(frozen=True, slots=True)
class Passage:
    """The request may go on as `target` (origin form, without token). `subject` is for the log. `render`: the answer is
    not the stored one but made from it, and private to who asks; the lane gets no such request (see Tier.quick).
    `since`: who asks knows of an invalidation, of this name, that did not reach us; what is stored is stale for it, and
    so is what is on its way for others."""

    target: str
    subject: str = ""
    render: Rendering | None = None
    since: str = ""


@dataclass(frozen=True, slots=True)
class Direct:
    """The tier answers by itself (a CORS preflight)."""

    status: int
    fields: Fields
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Intake:
    """The tier takes the body, for its watch (Watch.events); at most `limit` bytes. `subject` as in Passage."""

    subject: str
    limit: int


class Tier(Protocol):
    """One tier's rules; all methods are quick and do no I/O."""

    answer_fields: Fields
    """Fields that every answer carries (CORS)."""

    grace: bool
    """Whether a stale answer may serve while it is refreshed (RFC 5861 3): to viewers yes, to another cache no."""

    reasons: tuple[str, ...]
    """The closed set of words for why a request was refused."""

    def logged(self, target: str) -> str:
        """The target as the log may have it: without secrets."""
        ...

    def admit(self, exchange: Exchange, now: float) -> Passage | Direct | Intake:
        """Whether this request may pass at `now` (wall clock). Raises kit.errors.Refused or BadRequest."""
        ...

    def quick(self, target: str, fields: Fields, now: float) -> tuple[str, str] | None:
        """`admit` for a GET of a target and fields without odd characters, where memory alone can say yes: the
        Passage's target and subject, fit for a JSON string. None where it takes more: a token not seen before, a
        refusal, a Passage that has more."""
        ...

    def forwarded(self, fields: Fields) -> Fields:
        """Of a request's end-to-end fields, those that go upstream."""
        ...
