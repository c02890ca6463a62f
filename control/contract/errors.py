"""Errors that control and those who ask it share."""

from typing import ClassVar

from kit.errors import Overloaded


class NoEdgeLeft(Overloaded):
    """Control answered: no edge can take the session. Origin sheds it and is never the answer itself (T-020)."""

    kind: ClassVar[str] = "no_edge"
