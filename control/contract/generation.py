"""Generation: how far a node is with the installation's purges (contracts.md, Purge across tiers).

`<epoch of the log of orders>.<number of a purge>`. An edge says with each fill which purge it has heard of; a shield
that has not done that one takes what it has stored for stale, for this request. The supervisor publishes, workers
look. Who is admitted by the node credential is believed; nobody else's word is looked at.
"""

import re

from kit.published import Publisher, Reader

FIELD = "Headrace-Generation"
"""The field beside the node credential; a shield sends it no further."""
FD = "generation"
"""The name of the descriptor that workers get."""
_MOST_BYTES = 256
_TEXT = re.compile(r"([a-z0-9]{8,32})\.([0-9]{1,16})")


def text(epoch: str, number: int) -> str:
    """As it is sent and published."""
    return f"{epoch}.{number}"


def behind(done: str, heard: str) -> bool:
    """Whether a node that has done all purges up to `done` ("": nobody knows) may lack one that `heard` names. Logs of
    two epochs cannot be compared: then it may."""
    theirs, ours = _TEXT.fullmatch(heard), _TEXT.fullmatch(done)
    if theirs is None or ours is None or theirs[1] != ours[1]:
        return True
    return int(ours[2]) < int(theirs[2])


class Told:
    """The supervisor's side: what workers see."""

    def __init__(self) -> None:
        self._publisher = Publisher(_MOST_BYTES)

    @property
    def fd(self) -> int:
        """For the workers."""
        return self._publisher.fd

    def put(self, heard: str, done: str) -> None:
        """The newest purge that this node was told of, and the newest that is done; "" for what is not known."""
        self._publisher.put((f"heard {heard}", f"done {done}"))

    def close(self) -> None:
        """Let go of the memory."""
        self._publisher.close()


class Generations:
    """The workers' side; to see that nothing changed costs one look."""

    def __init__(self, fd: int) -> None:
        self._reader = Reader(fd)
        self._seen = 0
        self._heard = self._done = ""

    @property
    def heard(self) -> str:
        """The newest purge that this node was told of; "" where it follows no orders."""
        self._look()
        return self._heard

    @property
    def done(self) -> str:
        """The newest purge that is done here, as all before it are; "" where that is not known."""
        self._look()
        return self._done

    def _look(self) -> None:
        if self._reader.changes[0] == self._seen:
            return
        said = dict(word.split(" ", 1) for word in self._reader.words())
        self._seen = self._reader.seen
        self._heard, self._done = said.get("heard", ""), said.get("done", "")
