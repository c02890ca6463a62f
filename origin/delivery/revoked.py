"""Shields that were revoked, as control orders it (control.node.applier): the one order that concerns origin."""

from collections.abc import Mapping, Sequence


class RevokedShields:
    """Whose signatures delivery refuses; an Applier. It stores nothing that could be purged or warmed, and no sessions
    begin at it."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()

    def __call__(self, name: str) -> bool:
        """Whether the node that signs with this name was revoked."""
        return name in self._names

    def revoke(self, revoked: Mapping[str, Sequence[str]]) -> None:
        """Refuse these nodes, and no others, from their next request on."""
        self._names = frozenset(revoked.get("node", ()))

    async def purge(self, by: str, what: str, *, soft: bool) -> None:
        """Nothing is stored here."""

    async def purge_all(self) -> None:
        """Nothing is stored here."""

    async def prefetch(self, paths: Sequence[str]) -> None:
        """Nothing is stored here."""

    def drain(self, draining: bool) -> None:
        """No session begins here."""

    def purged(self, heard: str, done: str) -> None:
        """Nothing is stored here, and nobody is asked for it."""
