"""What is refused whatever its end, play tokens and nodes: a node is told (control's orders), and its workers look."""

from typing import TYPE_CHECKING

from kit.published import Reader

if TYPE_CHECKING:  # a node that checks no tokens starts without their libraries
    from origin.contract.token import Grant

FD = "revoked"
"""The name of the descriptor that workers get."""
MOST_BYTES = 2**20
"""Room for `<by>:<name>` lines: 4096 of them with names of 128 characters take 600 kB."""


class Revoked:
    """What is refused now. With nothing revoked, asking costs a look at shared memory."""

    def __init__(self, fd: int) -> None:
        self._reader = Reader(fd)

    def __call__(self, grant: "Grant") -> bool:
        """Whether this grant's token, subject or key was revoked."""
        words = self._reader.words()
        return bool(words) and not words.isdisjoint(
            (f"token:{grant.token_id}", f"subject:{grant.subject}", f"key:{grant.key_id}")
        )


class RevokedNodes:
    """Nodes whose signatures are refused now, by their names."""

    def __init__(self, fd: int) -> None:
        self._reader = Reader(fd)

    def __call__(self, name: str) -> bool:
        """Whether this node was revoked."""
        words = self._reader.words()
        return bool(words) and f"node:{name}" in words
