"""What the counters of a cache directory say against what lies there; pure."""

from collections import deque

_LONG_S, _SHORT_S = 60.0, 3.0
_MOST = 128


class Ledger:
    """Bytes are counted before they are on disk and taken off when they are gone: so between two looks the counters
    may say more than lies there, and for a moment less. What stays is wrong: more for a minute is a dead worker's."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=_MOST)

    def nobodys(self, excess: int, now: float) -> int:
        """Bytes to take off the counters now (negative: to add). They say `excess` more than lies there; `now` is
        monotonic seconds."""
        self._seen.append((now, excess))
        while now - self._seen[0][0] > _LONG_S:
            self._seen.popleft()
        short = max((each for at, each in self._seen if now - at <= _SHORT_S), default=0)
        whole = min(each for _, each in self._seen)
        wrong = 0
        if short < 0 and now - self._seen[0][0] >= _SHORT_S:
            wrong = short
        elif whole > 0 and now - self._seen[0][0] >= _LONG_S - _SHORT_S:
            wrong = whole
        if wrong:
            self._seen.clear()
        return wrong
