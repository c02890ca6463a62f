"""The keepers of all directories of a node: purged together, they begin and end together."""

import asyncio
from collections.abc import Sequence

from proxy.store.keeper import Keeper
from proxy.store.purge import Purge, Purged


class Keepers:
    """One keeper a directory."""

    def __init__(self, keepers: Sequence[Keeper]) -> None:
        self._keepers = tuple(keepers)

    def start(self) -> None:
        """Begin; returns at once."""
        for keeper in self._keepers:
            keeper.start()

    @property
    def alive(self) -> bool:
        """Whether all of them run."""
        return all(keeper.alive for keeper in self._keepers)

    @property
    def loaded(self) -> bool:
        """Whether every file of before is known, in all directories that are well."""
        return all(keeper.loaded.is_set() for keeper in self._keepers)

    async def purge(self, purge: Purge) -> Purged:
        """Do it in every directory, and add up. OSError or lmdb.Error when one of them could not; the others did it.
        Cancelled when a keeper does not run."""
        done = await asyncio.gather(*(asyncio.wrap_future(keeper.purge(purge)) for keeper in self._keepers))
        return Purged(sum(each.objects for each in done), max(each.seconds for each in done))

    def close(self) -> None:
        """End in order, see Keeper."""
        for keeper in self._keepers:
            keeper.end()
        for keeper in self._keepers:
            keeper.close()
