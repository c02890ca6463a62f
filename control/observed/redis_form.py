"""The history in Redis, shared by all control processes; each keeps a picture of it, for `latency` must not wait.

Keys: `rtt:<network>` hash, edge -> "ms samples time"; `rtt:changed` networks scored by the number of their last change,
`rtt:changes` the last number given. All are bounded by the script that writes. What was noted while Redis was away
stays in this process alone: it fades anyway.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from redis.asyncio import Redis

from control.connected import connected
from control.contract.observations import RoundTrip
from control.observed.following import Following
from control.observed.memory import MemoryHistory
from control.observed.model import MOST_EDGES, MOST_SAMPLES, WEIGHT, HistoryState, Trip
from control.steering.choose import Latency
from kit.clock import Clock

POLL_S = 2.0
"""Age of what other control processes noted, at most, while Redis answers."""
BATCH = 500
"""Networks read in one go."""
KEPT_HALF_LIVES = 8
"""A network of which nothing was heard for so many half-lives is worth no sample any more."""

_NOTE = """
-- ARGV: edge, half life ms, most networks, most edges, most samples, weight, keep ms, then network ms count ...
local edge, half, most, edges = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local samples, weight, keep = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 8, #ARGV, 3 do
  local key, ms, count = 'rtt:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local left, old_ms = 0, 0
  local row = redis.call('HGET', key, edge)
  if row then
    local was, had, at = string.match(row, '^(%S+) (%S+) (%S+)$')
    old_ms, left = tonumber(was), tonumber(had) * 0.5 ^ (math.max(0, now - tonumber(at)) / half)
  end
  if left >= 1 then
    ms = old_ms + (1 - (1 - weight) ^ count) * (ms - old_ms)
    count = left + count
  end
  redis.call('HSET', key, edge, string.format('%.3f %.4f %d', ms, math.min(samples, count), now))
  if redis.call('HLEN', key) > edges then
    local oldest, who
    local all = redis.call('HGETALL', key)
    for j = 1, #all, 2 do
      local at = tonumber(string.match(all[j + 1], '(%d+)$'))
      if not oldest or at < oldest then oldest, who = at, all[j] end
    end
    redis.call('HDEL', key, who)
  end
  redis.call('PEXPIRE', key, keep)
  redis.call('ZADD', 'rtt:changed', redis.call('INCR', 'rtt:changes'), ARGV[i])
end
local over = redis.call('ZCARD', 'rtt:changed') - most
if over > 0 then
  local gone = redis.call('ZPOPMIN', 'rtt:changed', math.min(over, 500))
  for i = 1, #gone, 2 do redis.call('DEL', 'rtt:' .. gone[i]) end
end
return #ARGV
"""

_READ = """
-- ARGV: the number of the last change that the caller has, how many it wants
local t = redis.call('TIME')
local has = tonumber(ARGV[1])
if has > tonumber(redis.call('GET', 'rtt:changes') or '0') then has = 0 end -- Redis began anew
local changed = redis.call('ZRANGEBYSCORE', 'rtt:changed', '(' .. has, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local rows = {}
for i = 1, #changed, 2 do rows[#rows + 1] = redis.call('HGETALL', 'rtt:' .. changed[i]) end
return {string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000)), changed, rows}
"""


class RedisHistory(Following):
    """A History over Redis. `start` inside the loop, `close` at the end."""

    def __init__(self, redis: Redis, clock: Clock, *, half_life_s: float, most: int) -> None:
        super().__init__(redis, "observed", POLL_S)
        self._clock, self._most = clock, most
        self._half_life_ms = int(half_life_s * 1000)
        self._picture = MemoryHistory(clock, half_life_s=half_life_s, most=most)
        self._note, self._read = redis.register_script(_NOTE), redis.register_script(_READ)
        self._has = 0

    @classmethod
    def connect(cls, url: str, clock: Clock, *, half_life_s: float, most: int) -> Self:
        """A history at `url`; nothing is sent yet."""
        return cls(connected(url, connections=16), clock, half_life_s=half_life_s, most=most)

    def latency(self, network: str) -> Mapping[str, Latency]:
        """See History."""
        return self._picture.latency(network)

    async def note(self, edge_id: str, trips: Sequence[RoundTrip]) -> None:
        """See History."""
        await self._picture.note(edge_id, trips)
        keep_ms = self._half_life_ms * KEPT_HALF_LIVES
        head: list[str | float]
        head = [edge_id, self._half_life_ms, self._most, MOST_EDGES, MOST_SAMPLES, WEIGHT, keep_ms]
        rest = [part for each in trips for part in (each.network, each.ms, each.count)]
        if rest:
            with self._noticing():
                await self._note(args=[*head, *rest])

    async def _look(self) -> None:
        for _ in range(self._most // BATCH + 1):
            if await self._batch() < BATCH:
                return

    def state(self) -> HistoryState:
        """See History."""
        return HistoryState(self._picture.state().networks, "away" if self.error else "up", self.error)

    async def _batch(self) -> int:
        now_ms, changed, rows = await self._read(args=[self._has, BATCH])
        here = self._clock.monotonic()
        for network, row in zip(changed[::2], rows, strict=True):
            if row:
                self._picture.put(network, _trips(row, here - float(now_ms) / 1000))
        if changed:
            self._has = int(changed[-1])
        return len(changed) // 2


def _trips(flat: Sequence[Any], offset_s: float) -> dict[str, Trip]:
    """A row of Redis in this process's time."""
    found = {}
    for edge, text in zip(flat[::2], flat[1::2], strict=True):
        ms, samples, at = text.split(" ")
        found[edge] = Trip(float(ms), float(samples), float(at) / 1000 + offset_s)
    return found
