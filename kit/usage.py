"""How busy processes and disks are, from /proc and /sys: cumulative readings, and the rate between two of them."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have used, user and system; those that are gone count nothing."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def disk_busy_seconds(path: Path) -> float:
    """Seconds during which the device of `path` had work, 0 where the kernel does not say (a memory file system)."""
    try:
        device = path.stat().st_dev
        stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
        return int(stat[9]) / 1000
    except (OSError, IndexError):
        return 0.0


class Rate:
    """The growth of a cumulative reading per second, between calls."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None

    def per_second(self, reading: float, now: float) -> float:
        """`now` is monotonic; 0 at the first call, never negative."""
        last, self._last = self._last, (reading, now)
        if last is None or now <= last[1]:
            return 0.0
        return max(0.0, (reading - last[0]) / (now - last[1]))
