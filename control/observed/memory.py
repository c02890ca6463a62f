"""The history in this process: all there is without Redis, the picture that steering reads with it."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from control.contract.observations import RoundTrip
from control.observed.model import MOST_EDGES, HistoryState, Trip, merged
from control.steering.choose import Latency
from kit.clock import Clock


class MemoryHistory:
    """A History. At most `most` networks, the longest silent go first; at most MOST_EDGES edges each."""

    def __init__(self, clock: Clock, *, half_life_s: float, most: int) -> None:
        self._clock, self._half_life_s, self._most = clock, half_life_s, most
        self._networks: OrderedDict[str, dict[str, Trip]] = OrderedDict()

    def latency(self, network: str) -> Mapping[str, Latency]:
        """See History."""
        known = self._networks.get(network)
        if not known:
            return {}
        now = self._clock.monotonic()
        return {edge: Latency(trip.ms, round(trip.faded(now, self._half_life_s))) for edge, trip in known.items()}

    async def note(self, edge_id: str, trips: Sequence[RoundTrip]) -> None:
        """See History."""
        now = self._clock.monotonic()
        for each in trips:
            known = self._networks.get(each.network, {})
            trip = merged(known.get(edge_id), each.ms, each.count, now, self._half_life_s)
            self.put(each.network, known | {edge_id: trip})

    def put(self, network: str, trips: Mapping[str, Trip]) -> None:
        """Replace what is known of a network; the edges longest silent go first."""
        newest = sorted(trips.items(), key=lambda each: -each[1].at)[:MOST_EDGES]
        self._networks[network] = dict(newest)
        self._networks.move_to_end(network)
        if len(self._networks) > self._most:
            self._networks.popitem(last=False)

    def state(self) -> HistoryState:
        """See History."""
        return HistoryState(len(self._networks), None, None)

    async def close(self) -> None:
        """See History."""
