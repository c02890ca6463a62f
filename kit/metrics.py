"""Metrics as plain integers in shared memory: a row a process, a column a series; rendered for Prometheus in one place.

On the hit path a counter costs an addition (prometheus-client: 0.35 us, contracts.md). Labels are fixed when the
board is made, so that no request can make a new series.
"""

import mmap
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

_CELL = 8
Series = tuple[str, str]
"""A family's name and a value of its label."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its label and the label's closed set of values, or none."""

    name: str
    help: str
    kind: Literal["counter", "gauge"] = "counter"
    label: str = ""
    values: tuple[str, ...] = ("",)
    stands_for: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    """By value, series of other families that one count of it counts for: the hit path counts once what it would count
    five times. Such a family is not shown by itself."""


class Row:
    """One process's counters; `row.cells[column] += 1` is the whole cost of counting."""

    def __init__(self, cells: memoryview, columns: Mapping[Series, int]) -> None:
        self.cells = cells
        self._columns = columns

    def column(self, name: str, value: str = "") -> int:
        """Where a series is counted; KeyError for one that was not declared."""
        return self._columns[name, value]

    def add(self, name: str, value: str = "", amount: int = 1) -> None:
        """Count by name, off the hit path."""
        self.cells[self._columns[name, value]] += amount

    def set(self, name: str, amount: int, value: str = "") -> None:
        """Set a gauge."""
        self.cells[self._columns[name, value]] = amount


class Board:
    """All counters of a node in one memory file that its processes share."""

    def __init__(self, families: Iterable[Family], rows: int, *, fd: int | None = None) -> None:
        self.families = tuple(families)
        names = [(family.name, value) for family in self.families for value in family.values]
        self._columns = {name: at for at, name in enumerate(names)}
        self._counted_in = {name: [at] for name, at in self._columns.items()}
        for family in self.families:
            for value, series in family.stands_for.items():
                for each in series:
                    self._counted_in[each].append(self._columns[family.name, value])
        self._width = len(names)
        self.rows = rows
        self.fd = os.memfd_create("headrace-metrics", 0) if fd is None else fd
        size = max(1, rows * self._width) * _CELL
        if fd is None:
            os.ftruncate(self.fd, size)
        self._map = mmap.mmap(self.fd, size)
        self._cells = memoryview(self._map).cast("q")
        self._given: list[memoryview] = []

    def row(self, number: int) -> Row:
        """The row of process `number`, from 0."""
        start = number * self._width
        cells = self._cells[start : start + self._width]
        self._given.append(cells)
        return Row(cells, self._columns)

    def total(self, name: str, value: str = "") -> int:
        """A series over all processes."""
        return sum(sum(self._cells[at :: self._width]) for at in self._counted_in[name, value])

    def overall(self, name: str) -> int:
        """A family over all processes and all values of its label."""
        return sum(self.total(family, value) for family, value in self._columns if family == name)

    def reader(self, name: str, value: str = "") -> Callable[[], int]:
        """`total` of one series that no other family stands for, for the hit path: its cells are found once."""
        (at,) = self._counted_in[name, value]
        cells = self._cells[at :: self._width]
        self._given.append(cells)
        return partial(sum, cells)

    def render(self, **common: str) -> str:
        """Prometheus text of the sums over all processes, `common` labels on every series."""
        lines: list[str] = []
        for family in self.families:
            if family.stands_for:
                continue
            lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
            for value in family.values:
                labels = dict(common) | ({family.label: value} if family.label else {})
                inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
                lines.append(f"{family.name}{{{inside}}} {self.total(family.name, value)}")
        return "\n".join(lines) + "\n"

    def close(self) -> None:
        """Let go of the memory. Rows given out must not be used any more."""
        for cells in (*self._given, self._cells):
            cells.release()
        self._map.close()
        os.close(self.fd)
