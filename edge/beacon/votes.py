"""One vote a session (issue 5): what its player said since the last vote, however often it said it."""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.beacon.cmcd import Said, StreamClass

MOST_SESSIONS = 20_000
"""Sessions held at a time; further ones are counted as dropped."""
MOST_STALLS = 100
_Note = list[str | int | bool | None]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one session saw. Fields as in Said; `stalls` may be several."""

    network: str
    stream: StreamClass
    stalls: int
    rebuffer_ms: int
    startup_ms: int | None
    kbps: int
    top_kbps: int
    throughput_kbps: int
    failed: bool

    def joined(self, later: "Vote") -> "Vote":
        """With what the same session said later: stalls add up, of the rest the last word counts."""
        return Vote(
            network=later.network,
            stream=later.stream if later.stream != "unknown" else self.stream,
            stalls=min(MOST_STALLS, self.stalls + later.stalls),
            rebuffer_ms=self.rebuffer_ms + later.rebuffer_ms,
            startup_ms=self.startup_ms if later.startup_ms is None else later.startup_ms,
            kbps=later.kbps or self.kbps,
            top_kbps=later.top_kbps or self.top_kbps,
            throughput_kbps=later.throughput_kbps or self.throughput_kbps,
            failed=self.failed or later.failed,
        )


class Votes:
    """The votes of sessions, each under one name that nobody else can vote under."""

    def __init__(self, most: int = MOST_SESSIONS) -> None:
        self._most = most
        self._votes: dict[str, Vote] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._votes)

    def add(self, session: str, vote: Vote) -> None:
        """What `session` says, joined to what it said since the last `take`."""
        before = self._votes.get(session)
        if before is None and len(self._votes) >= self._most:
            self.dropped += 1
            return
        self._votes[session] = before.joined(vote) if before else vote

    def said(self, session: str, network: str, said: Said) -> None:
        """`add` a player's report."""
        self.add(session, vote_of(network, said))

    def take(self, most: int) -> list[tuple[str, Vote]]:
        """The votes longest here, out of here."""
        names = [name for name, _ in zip(self._votes, range(most), strict=False)]
        return [(name, self._votes.pop(name)) for name in names]

    def extend(self, notes: Iterable[_Note]) -> None:
        """Add what `notes_of` made."""
        for session, *fields in notes:
            self.add(str(session), Vote(*fields))  # type: ignore[arg-type]  # as notes_of wrote them


def vote_of(network: str, said: Said) -> Vote:
    """The vote that one report is."""
    return Vote(
        network,
        said.stream,
        said.stalls,
        said.rebuffer_ms,
        said.startup_ms,
        said.kbps,
        said.top_kbps,
        said.throughput_kbps,
        said.failed,
    )


def notes_of(votes: Iterable[tuple[str, Vote]]) -> list[_Note]:
    """Votes as a worker's note has them."""
    return [
        [
            session,
            vote.network,
            vote.stream,
            vote.stalls,
            vote.rebuffer_ms,
            vote.startup_ms,
            vote.kbps,
            vote.top_kbps,
            vote.throughput_kbps,
            vote.failed,
        ]
        for session, vote in votes
    ]
