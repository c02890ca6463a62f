"""What orders do to a node: the part that the node gives."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Applier(Protocol):
    """All of it may be done twice with the same result. HeadraceError says why something could not be done; whether
    trying again may help is its `retry`."""

    async def purge(self, by: str, what: str, *, soft: bool) -> None:
        """Purge by `url`, `prefix` or `tag`; on return it is done in all workers."""
        ...

    async def purge_all(self) -> None:
        """Make all that is stored stale."""
        ...

    async def prefetch(self, paths: Sequence[str]) -> None:
        """Store what these paths name; on return it is tried for all."""
        ...

    def drain(self, draining: bool) -> None:
        """Take no new session (or take them again)."""
        ...

    def purged(self, heard: str, done: str) -> None:
        """Say `heard` with every fill, and take what is stored for stale for who says more than `done`. Both as
        control.contract.generation; "" for what is not known."""
        ...

    def revoke(self, revoked: Mapping[str, Sequence[str]]) -> None:
        """Refuse these, and no others, from now on: play tokens by `token`, `subject`, `key`, and nodes by `node`
        (-> names)."""
        ...
