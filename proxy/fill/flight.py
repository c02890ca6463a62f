"""One fill under way, and what those who wait for it can be told."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from kit.errors import UpstreamFailed
from proxy.http.fields import Fields
from proxy.rules.meta import Meta
from proxy.rules.storing import NotStored, storing
from proxy.store.bodies import Body
from proxy.store.sparse import SparseBody
from proxy.store.store import Stored
from proxy.upstream.client import Response
from proxy.upstream.interim import Listener


class Ending(StrEnum):
    """How a flight ended."""

    FILLED = "filled"
    """Complete, checked, kept."""
    NOT_KEPT = "not_kept"
    """Complete and given to all who waited, but there was no room to keep it."""
    REVALIDATED = "revalidated"
    """A 304: what was stored is fresh again."""
    STALE_ON_ERROR = "stale_on_error"
    """Upstream failed; what was stored may serve (RFC 5861 4)."""
    FOLLOWED = "followed"
    """Another worker of this node asked upstream; this one told its viewers what that one got."""
    SLICED = "sliced"
    """The first slices of an object are on their way; others come when somebody asks for them."""
    NOT_SHARED = "not_shared"
    """The answer is for the leader alone; followers ask by themselves."""
    FAILED = "failed"
    """Upstream failed before the head: all who waited get the failure."""
    CUT = "cut"
    """Upstream failed in the body: readers that need the rest are cut off."""
    CANCELLED = "cancelled"
    """This process is going."""


@dataclass(frozen=True, slots=True)
class Shared:
    """An answer for all who wait: new, or growing still."""

    meta: Meta
    body: Body | SparseBody
    kept: bool
    upstream_status: int
    upstream_cache_status: str | None


@dataclass(frozen=True, slots=True)
class Revalidated:
    """What was stored, fresh again."""

    stored: Stored


@dataclass(frozen=True, slots=True)
class StaleOnError:
    """What was stored, though stale: upstream failed."""

    stored: Stored
    error: str


@dataclass(frozen=True, slots=True)
class NotShared:
    """An answer that only the leader may have; it owns the response and must close it."""

    response: Response
    reason: NotStored | str


Outcome = Shared | Revalidated | StaleOnError | NotShared


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked upstream. `fields` are end-to-end, without conditions and ranges. `flight` is the same for requests
    that may wait for one another: the key, where Vary is not known to tell them apart. `hints` is told of interim
    answers (RFC 8297): they are for who began the flight, the others have its answer the sooner."""

    key: str
    target: str
    fields: Fields
    flight: str
    hints: Listener | None = None
    ranged: Fields = ()
    """The viewer's own Range and conditions, where it may be asked for slices."""
    led: int = 0
    """How many flights the node's other workers had led when the answer was looked for."""
    since: str = ""
    """The name of an invalidation that the answer must not be older than, though this store does not know of it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An answer's head and when it was asked for and came (wall clock)."""

    response: Response
    sent: float
    received: float


def since(flight: str, invalidation: str) -> str:
    """The name of a flight for those who know of an invalidation: what began without it is not for them."""
    return f"{flight}\n{invalidation}" if invalidation else flight


def storable(question: Question, status: int, fields: Fields, arrival: Arrival) -> Meta | NotStored:
    """May an answer be kept (rules.storing), taken for one with this status and these fields?"""
    return storing(
        key=question.key,
        method="GET",
        request=question.fields,
        status=status,
        response=fields,
        request_time=arrival.sent,
        response_time=arrival.received,
    )


class Going(UpstreamFailed):
    """This process ends before it knew the outcome: another worker may ask."""


class Flight:
    """A fill and its outcome. The head is known when `outcome` is."""

    def __init__(self, question: Question, epoch: int) -> None:
        """`epoch` is the store's when upstream is asked: who comes after an invalidation must not be told this."""
        self.question, self.epoch = question, epoch
        self.stored_epoch = epoch
        """The epoch of what is being revalidated, which lies under a key of its own where it is a variant."""
        self.leads = False
        """Whether this worker asks upstream; a neighbour that does so is followed."""
        self.leased = False
        """Whether this worker holds the node's lease for it."""
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def tell(self, outcome: Outcome) -> None:
        """Everybody who waits may go on."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Everybody who waits gets `error`, unless the head is out already."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            self.outcome.exception()  # nobody may be waiting: that is no incident
