"""How far this node is with its purges: pure states, kept across restarts (kept) and told to workers (generation)."""

from typing import Self

from pydantic import Field

from control.contract import generation
from control.contract.messages import Message


class Purged(Message):
    """`heard` rises before a purge is done here, `done` after it: so neither says too much."""

    epoch: str = Field(pattern=r"^[a-z0-9]{8,32}$")
    """The log of orders whose numbers these are."""
    heard: int = Field(ge=0)
    """The newest purge that this node was told of."""
    done: int | None = Field(default=None, ge=0)
    """The newest that is done; None when one could not be, until everything is made stale."""

    def hearing(self, number: int) -> Self:
        """A purge has come; orders may come out of their numbers' order (edges are told when shields are done)."""
        return self.model_copy(update={"heard": max(self.heard, number)})

    def ending(self, number: int, *, well: bool) -> Self:
        """It was done, or could not be."""
        done = None if self.done is None or not well else max(self.done, number)
        return self.model_copy(update={"done": done})

    def whole(self) -> Self:
        """Everything is stale: that stands for every purge so far."""
        return self.model_copy(update={"done": self.heard})

    @property
    def heard_text(self) -> str:
        """See generation.text."""
        return generation.text(self.epoch, self.heard)

    @property
    def done_text(self) -> str:
        """See generation.text; "" when nobody knows."""
        return "" if self.done is None else generation.text(self.epoch, self.done)
