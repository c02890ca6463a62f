"""What is refused whatever its end, play tokens and nodes: a node is told (control's orders), and its workers look.

The words are `<by>:<name>`, see control.contract.orders.Revoke; tokens are looked for by origin.contract.token.
"""

from kit.published import Reader

FD = "revoked"
"""The name of the descriptor that workers get."""
MOST_BYTES = 2**20
"""Room for 4096 words with names of 128 characters, 600 kB."""


class RevokedNodes:
    """Nodes whose signatures are refused now, by their names."""

    def __init__(self, fd: int) -> None:
        self._reader = Reader(fd)

    def __call__(self, name: str) -> bool:
        """Whether this node was revoked."""
        words = self._reader.words()
        return bool(words) and f"node:{name}" in words
