"""The supervisor's part: sums of what its workers noted, in portions that control takes."""

from typing import Any

import orjson

from control.contract.observations import MOST_MS, MOST_QUALITIES, MOST_TRIPS, Observations, RoundTrip
from edge.beacon.tally import Tallies
from edge.beacon.trips import RoundTrips
from edge.beacon.votes import MOST_SESSIONS, Votes


class Gathered:
    """Take notes in, observations out. A session that several workers serve has one vote."""

    def __init__(self) -> None:
        self._trips, self._votes, self._tallies = RoundTrips(), Votes(), Tallies()

    def take(self, note: bytes) -> None:
        """A worker's note. It is one of ours: nobody else can write to the socket."""
        document = orjson.loads(note)
        self._trips.extend(document["trips"])
        self._votes.extend(document["votes"])
        trips, votes = document["dropped"]
        self._trips.dropped += trips
        self._votes.dropped += votes

    def observations(self) -> Observations | None:
        """What control has not been told yet, as much as one message holds; None when that is nothing."""
        for _, vote in self._votes.take(MOST_SESSIONS):
            self._tallies.add(vote)
        trips, qualities = self._trips.take(MOST_TRIPS), self._tallies.take(MOST_QUALITIES)
        if not trips and not qualities:
            return None
        round_trips = (
            RoundTrip(network=network, ms=min(MOST_MS, max(0.001, ms)), count=min(1_000_000, count))
            for network, ms, count in trips
        )
        return Observations(round_trips=tuple(round_trips), quality=tuple(qualities))

    def health(self) -> dict[str, Any]:
        """For /health: what is still to be told, and what there was no room for."""
        dropped = self._trips.dropped + self._votes.dropped + self._tallies.dropped
        return {"networks": len(self._trips), "sessions": len(self._votes), "dropped": dropped}
