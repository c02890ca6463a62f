"""The supervisor's part: sums of what its workers noted, in portions that control takes."""

from typing import Any

import orjson

from control.contract.observations import MOST_MS, MOST_TRIPS, Observations, RoundTrip
from edge.beacon.trips import RoundTrips


class Gathered:
    """Take notes in, observations out."""

    def __init__(self) -> None:
        self._trips = RoundTrips()

    def take(self, note: bytes) -> None:
        """A worker's note. It is one of ours: nobody else can write to the socket."""
        document = orjson.loads(note)
        self._trips.extend(document["trips"])
        self._trips.dropped += document["dropped"]

    def observations(self) -> Observations | None:
        """What control has not been told yet, as much as one message holds; None when that is nothing."""
        trips = self._trips.take(MOST_TRIPS)
        if not trips:
            return None
        return Observations(
            round_trips=tuple(
                RoundTrip(network=network, ms=min(MOST_MS, max(0.001, ms)), count=min(1_000_000, count))
                for network, ms, count in trips
            )
        )

    def health(self) -> dict[str, Any]:
        """For /health."""
        return {"networks": len(self._trips), "dropped": self._trips.dropped}
