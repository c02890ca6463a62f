"""Runs that the workers of a node share: who brings a slice in, and how the others follow it.

A lease a slice (fill.leases) says which worker brings it in; the others hear of its run over a socket as they hear of a
flight (fill.neighbours), and read the bytes from the file that all of them have.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace

from kit.errors import UpstreamFailed
from kit.tasks import Owner
from proxy.fill.flight import Flight, Going, Question, Shared
from proxy.fill.neighbours import Alone, Gone, Growing, Neighbours
from proxy.rules.meta import Meta
from proxy.store.bodies import GrowingBody
from proxy.store.sparse import SparseFile

Progress = AsyncGenerator[int, None]
_ASKED = 3
"""So often a neighbour's run may turn out to be over before we hear of it."""


class Sharing:
    """One worker's side of it; alone on its node it leads every run."""

    def __init__(self, neighbours: Neighbours | None) -> None:
        self._neighbours = neighbours
        self._told: dict[str, Flight] = {}
        self._owner = Owner("sharing")

    @property
    def alone(self) -> bool:
        """Whether the node has no other workers."""
        return self._neighbours is None

    def take(self, file: SparseFile, indexes: range) -> range:
        """The first of these slices, as far as this worker may bring them in from now on; to be given back."""
        for place, index in enumerate(indexes):
            if self._leader(file, index) is not None:
                return indexes[:place]
        return indexes

    def give_back(self, file: SparseFile, indexes: range) -> None:
        """These slices' run is over: who still waits for word of it is told to look again."""
        for index in indexes if self._neighbours else ():
            flight = self._told.pop(_name(file, index), None)
            if flight is not None:
                flight.fail(Going("the run is over"))
            assert self._neighbours is not None
            self._neighbours.leases.give_back(_name(file, index))

    def announce(self, file: SparseFile, indexes: range, question: Question) -> None:
        """Neighbours may ask for the run that brings these slices in; what becomes of it `tell` says."""
        flight = Flight(question, 0)
        for index in indexes if self._neighbours else ():
            self._told[_name(file, index)] = flight

    def tell(self, file: SparseFile, index: int, meta: Meta, body: GrowingBody) -> None:
        """The bytes are on their way into `body`."""
        flight = self._told.get(_name(file, index))
        if flight is not None:
            flight.tell(Shared(meta, body, True, 206, None))

    def led(self, name: str) -> Flight | None:
        """The run of that name that this worker leads."""
        return self._told.get(name)

    async def follow(self, file: SparseFile, index: int, question: Question) -> Progress | None:
        """How far into the object's bytes a neighbour's run has come, each time that it comes further; None when none
        brings the slice in any more, or it is not for us. UpstreamFailed when the rest will never come."""
        for _ in range(_ASKED):
            leader = self._leader(file, index)
            if leader is None:
                self.give_back(file, range(index, index + 1))
                return None
            assert self._neighbours is not None
            try:
                told = await self._neighbours.ask(leader, Flight(replace(question, flight=_name(file, index)), 0))
            except Gone:
                continue
            except Alone:
                return None
            return self._progress(self._neighbours, file, told) if isinstance(told, Growing) else None
        return None

    async def close(self) -> None:
        """Follow no more."""
        await self._owner.close()

    async def _progress(self, neighbours: Neighbours, file: SparseFile, told: Growing) -> Progress:
        place = told.body.place
        assert place is not None
        following = self._owner.spawn("follow", _quietly(neighbours, told))
        try:
            async for ready in told.body.progress():
                yield place[1] - file.layout.body_offset + ready
        finally:
            following.cancel()
            await asyncio.wait([following])

    def _leader(self, file: SparseFile, index: int) -> int | None:
        """Who else brings a slice in; None: this worker does, from now on."""
        return self._neighbours.leases.take(_name(file, index)) if self._neighbours else None


async def _quietly(neighbours: Neighbours, told: Growing) -> None:
    """A failure is told to the readers of the body."""
    with contextlib.suppress(UpstreamFailed):
        await neighbours.follow(told)


def _name(file: SparseFile, index: int) -> str:
    return f"\n{file.identity.hex()}:{index}"
