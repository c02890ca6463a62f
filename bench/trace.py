"""A trace: requests in the order of time, in flat columns; and as CSV (time, object, size), which other tools read."""

import csv
import hashlib
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kit.errors import BadRequest

_HEADER = ["time", "object", "size"]


@dataclass(slots=True)
class Trace:
    """`objects[i]` is asked for at `times[i]` (seconds); objects are numbered from 0, object n has `sizes[n]` bytes."""

    times: "array[float]" = field(default_factory=lambda: array("d"))
    objects: "array[int]" = field(default_factory=lambda: array("L"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def footprint(self) -> int:
        """Bytes of all objects."""
        return sum(self.sizes)

    def digest(self) -> str:
        """SHA-256 over the columns: equal for equal traces."""
        whole = hashlib.sha256()
        for column in (self.times, self.objects, self.sizes):
            whole.update(column.tobytes())
        return whole.hexdigest()

    def asked_once(self) -> float:
        """Share of the objects that are asked for only once."""
        counts = Counter(self.objects)
        return sum(count == 1 for count in counts.values()) / max(1, len(counts))


def write(trace: Trace, file: Path) -> None:
    """As CSV; times with milliseconds."""
    with file.open("w", newline="", encoding="ascii") as out:
        rows = csv.writer(out)
        rows.writerow(_HEADER)
        for when, number in zip(trace.times, trace.objects, strict=True):
            rows.writerow((f"{when:.3f}", number, trace.sizes[number]))


def read(file: Path) -> Trace:
    """From CSV. Object names may be any text; BadRequest: a row is not understood, or an object changes its size."""
    trace = Trace()
    numbers: dict[str, int] = {}
    with file.open(newline="", encoding="utf-8") as text:
        rows = csv.reader(text)
        if next(rows, None) != _HEADER:
            raise BadRequest(f"{file}: the first line must be {','.join(_HEADER)}")
        for row in rows:
            try:
                when, name, size = float(row[0]), row[1], int(row[2])
                number = numbers.setdefault(name, len(numbers))
                if number == len(trace.sizes):
                    trace.sizes.append(size)
            except (ValueError, IndexError, OverflowError):
                raise BadRequest(f"{file}:{rows.line_num}: want time,object,size") from None
            if trace.sizes[number] != size:
                raise BadRequest(f"{file}:{rows.line_num}: object {name} had {trace.sizes[number]} bytes before")
            trace.times.append(when)
            trace.objects.append(number)
    return trace
