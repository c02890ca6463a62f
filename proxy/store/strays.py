"""Objects that are no longer at home in their directory: another one came, or came back."""

from collections.abc import Iterator

from proxy.store.index import Index, Row
from proxy.store.slots import Slots
from proxy.store.volumes import Volume, Volumes

_AT_ONCE = 1_000


class Strays:
    """Looks through one directory, a little at a time, whenever there are more homes than when it last did."""

    def __init__(self, volume: Volume, volumes: Volumes) -> None:
        self.homes: tuple[str, ...] = ()
        """The directories that were well when this one was last looked through."""
        self._volume, self._volumes = volume, volumes
        self._looking: Iterator[int] | None = None
        self._aim: tuple[str, ...] = ()

    def some(self, index: Index, slots: Slots) -> list[Row]:
        """The strays among the next thousand objects; [] when there is nothing to look for."""
        well = tuple(sorted(str(volume.directory) for volume in self._volumes.well()))
        self.homes = tuple(home for home in self.homes if home in well)
        if well == self.homes:
            self._looking = None
            return []
        if self._looking is None or self._aim != well:
            self._looking, self._aim = iter(range(len(slots))), well
        return self._next(index, slots, self._looking)

    def _next(self, index: Index, slots: Slots, looking: Iterator[int]) -> list[Row]:
        found: list[Row] = []
        for _ in range(_AT_ONCE if len(self._aim) > 1 else 0):
            slot = next(looking, None)
            if slot is None:
                self.homes = self._aim
                return found
            row = index.get(slots.name(slot)) if slots.taken(slot) else None
            if row is not None and self._volumes.home(row.key) is not self._volume:
                found.append(row)
        if len(self._aim) == 1:
            self.homes = self._aim
        return found
