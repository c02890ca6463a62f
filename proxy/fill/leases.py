"""Who fetches what on this node: at most one worker leads the fill of an answer, and the others know which.

A lease is a lock on a few bytes of a file in memory that the workers share: taken and given back in a microsecond, no
disk, and the kernel gives it back for a worker that dies. Where the lock begins says whose it is.
"""

import hashlib
import os

from kit import locks

WORKERS = 254
"""Numbers that fit beside one another in a flight's bytes."""
_STRIDE = 256
_HASH_BITS = 54


class Leases:
    """The leases of one worker; contracts.md, "Workers of one node"."""

    def __init__(self, fd: int, number: int) -> None:
        """`fd`: the node's file; `number`: this worker's, from 0, below WORKERS."""
        if not 0 <= number < WORKERS:
            raise ValueError(f"a worker's number is below {WORKERS}")
        # A description of our own: locks of the same description do not exclude one another.
        self._fd = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
        self.number = number
        self.node = f"{os.fstat(fd).st_dev:x}-{os.fstat(fd).st_ino:x}"
        """The same for all workers that share the file, and for no others."""
        self._held: dict[str, int] = {}

    def take(self, flight: str) -> int | None:
        """None: this worker leads now, until it gives the lease back as often as it took it. Else who leads."""
        if flight in self._held:
            self._held[flight] += 1
            return None
        base = _base(flight)
        while not locks.take(self._fd, *self._bytes(base)):  # each turn, another worker has ended a flight
            leader = self._leader(base)
            if leader is not None:
                return leader
        self._held[flight] = 1
        return None

    def give_back(self, flight: str) -> None:
        """The flight is over: another worker may lead the next one."""
        self._held[flight] -= 1
        if not self._held[flight]:
            del self._held[flight]
            locks.give_back(self._fd, *self._bytes(_base(flight)))

    def close(self) -> None:
        """Give all back."""
        os.close(self._fd)

    def _leader(self, base: int) -> int | None:
        """Who holds the lock; None when nobody does any more."""
        start = locks.holder(self._fd, *self._bytes(base))
        return None if start is None else start - base - 1

    def _bytes(self, base: int) -> tuple[int, int]:
        """Start and length of a lock. All workers' locks for a flight share its last byte and begin each at its own;
        two flights never touch, or the kernel would make one lock of them."""
        start = base + 1 + self.number
        return start, base + _STRIDE - start


def _base(flight: str) -> int:
    digest = hashlib.blake2b(flight.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> (64 - _HASH_BITS)) * _STRIDE
