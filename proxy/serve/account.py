"""Counting and logging an exchange when it is over."""

import asyncio
import os
import time
from pathlib import Path
from typing import Protocol

from kit.metrics import Family, Row
from proxy.serve.classes import CLASSES
from proxy.serve.exchange import Exchange, Handling

_HITS = (Handling.HIT, Handling.STALE)
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
_HITS_OF_LANE = "headrace_lane_hits"
_HITS_OF = {f"{carries} {status}": (carries, status) for carries in CLASSES for status in ("2xx", "3xx", "4xx")}
"""What a hit can carry and the classes of status that it can have: 200 and 206, 304, 412 and 416."""
METRICS = (
    Family("headrace_responses_total", "Answers by how they came about", label="cache", values=tuple(Handling)),
    Family("headrace_status_total", "Answers by class of status", label="class", values=_CLASSES),
    Family("headrace_lane_total", "Answers by the lane that gave them", label="lane", values=("fast", "aiohttp")),
    Family(
        "headrace_sent_bytes_total",
        "Body bytes handed to viewers, by how the answer came about",
        label="cache",
        values=tuple(Handling),
    ),
    Family("headrace_class_responses_total", "Answers by class of what they carry", label="class", values=CLASSES),
    Family("headrace_class_hits_total", "Those that were hits, stale ones included", label="class", values=CLASSES),
    Family(
        _HITS_OF_LANE,
        "Hits of the fast lane by what they carry and class of status",
        label="hit",
        values=tuple(_HITS_OF),
        stands_for={
            value: (
                ("headrace_responses_total", Handling.HIT),
                ("headrace_status_total", status),
                ("headrace_lane_total", "fast"),
                ("headrace_class_responses_total", carries),
                ("headrace_class_hits_total", carries),
            )
            for value, (carries, status) in _HITS_OF.items()
        },
    ),
    Family("headrace_connections", "Open connections", "gauge"),
    Family("headrace_log_lines_lost_total", "Access log lines dropped because the log could not keep up"),
)


def refusals(reasons: tuple[str, ...]) -> Family:
    """The metric of a tier's refusals; `reasons` is its closed set of words."""
    return Family("headrace_refusals_total", "Refused requests by reason", label="reason", values=reasons)


def hit_of(carries: str, status: int) -> str:
    """What a hit of the fast lane is counted as."""
    return f"{carries} {_CLASSES[status // 100 - 1]}"


class Answered(Protocol):
    """What all hits of the fast lane with one prepared answer have in common; `counted` as hit_of has it."""

    status: int
    counted: str


class Hit(Protocol):
    """What the account of a hit in the fast lane says. All text is fit for a JSON string."""

    @property
    def ready(self) -> Answered: ...
    @property
    def request_id(self) -> str: ...
    @property
    def logged(self) -> str: ...
    @property
    def subject(self) -> str: ...


class Account:
    """The counters and the access log of one worker."""

    def __init__(self, row: Row, log: "AccessLog | None", reasons: tuple[str, ...]) -> None:
        self._row, self._log = row, log
        self._reasons = frozenset(reasons)
        self._handling = {each: row.column("headrace_responses_total", each) for each in Handling}
        self._class = [row.column("headrace_status_total", each) for each in _CLASSES]
        self._bytes = {each: row.column("headrace_sent_bytes_total", each) for each in Handling}
        self._hit_bytes = self._bytes[Handling.HIT]
        self._carried = {
            each: (row.column("headrace_class_responses_total", each), row.column("headrace_class_hits_total", each))
            for each in CLASSES
        }
        self._aiohttp = row.column("headrace_lane_total", "aiohttp")
        self._hits = {each: row.column(_HITS_OF_LANE, each) for each in _HITS_OF}

    def close(self, exchange: Exchange) -> None:
        """Count the exchange, write its line."""
        cells = self._row.cells
        cells[self._handling[exchange.handling]] += 1
        cells[self._class[_class_of(exchange.status)]] += 1
        cells[self._bytes[exchange.handling]] += exchange.sent
        cells[self._aiohttp] += 1
        carried, hits = self._carried[exchange.carries]
        cells[carried] += 1
        if exchange.handling in _HITS:
            cells[hits] += 1
        if exchange.handling is Handling.REFUSED and exchange.reason in self._reasons:
            self._row.add("headrace_refusals_total", exchange.reason)
        if self._log:
            self._log.write(line_of(exchange, time.time(), time.perf_counter() - exchange.began))

    def fast(self, answer: "Hit", client: str, sent: int, reason: str, seconds: float) -> None:
        """`close` for an answer of the fast lane: the same counts, the same line. `client` is an address."""
        cells = self._row.cells
        cells[self._hits[answer.ready.counted]] += 1
        cells[self._hit_bytes] += sent
        if self._log:
            self._log.write(hit_line(answer, client, sent, reason, time.time(), seconds))


def _class_of(status: int) -> int:
    """The place in _CLASSES; what is no class of HTTP counts as none."""
    return status // 100 - 1 if 100 <= status < 600 else 5


class AccessLog:
    """One JSON line a request, formatted by hand, buffered, bounded: what does not fit is counted and dropped."""

    _BUFFER = 1 << 20

    def __init__(self, path: Path, row: Row) -> None:
        self._fd = (
            os.dup(1)
            if str(path) == "-"
            else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        )
        self._lines: list[bytes] = []
        self._size = 0
        self._row = row
        self._writing: asyncio.Future[bool] | None = None

    def write(self, line: bytes) -> None:
        """Add a line to the buffer."""
        if self._size + len(line) > self._BUFFER:
            self._row.add("headrace_log_lines_lost_total")
            return
        self._lines.append(line)
        self._size += len(line)

    async def flush(self) -> None:
        """Write what is buffered, off the loop. The buffer is changed in the loop alone. A log that cannot be written
        loses lines, counted, and stops nothing."""
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._put, b"".join(lines))
        if not await asyncio.shield(self._writing):
            self._row.add("headrace_log_lines_lost_total", amount=len(lines))

    def _put(self, data: bytes) -> bool:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            return False
        return True

    async def close(self) -> None:
        """Flush and close. A flush that was given up may still be writing."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))
        await self.flush()
        os.close(self._fd)


def line_of(exchange: Exchange, now: float, seconds: float) -> bytes:
    """The access log line. The target carries no token; `subject` is the token's id."""
    text = (
        f'{{"time":{now:.3f},"id":"{exchange.request_id}","client":"{safe(exchange.remote)}",'
        f'"method":"{safe(exchange.method)}","target":"{safe(exchange.logged_target)}",'
        f'"status":{exchange.status},"bytes":{exchange.sent},"seconds":{seconds:.6f},'
        f'"cache":"{exchange.handling.value}","reason":"{safe(exchange.reason)}","token":"{safe(exchange.subject)}"}}\n'
    )
    return text.encode("ascii", "backslashreplace")


def hit_line(answer: Hit, client: str, sent: int, reason: str, now: float, seconds: float) -> bytes:
    """The line of a hit in the fast lane: as `line_of` would write it, at a third of the price."""
    return (
        f'{{"time":{now:.3f},"id":"{answer.request_id}","client":"{client}","method":"GET","target":"{answer.logged}",'
        f'"status":{answer.ready.status},"bytes":{sent},"seconds":{seconds:.6f},'
        f'"cache":"hit","reason":"{reason}","token":"{answer.subject}"}}\n'
    ).encode()


def safe(text: str) -> str:
    """Text fit for a JSON string: quotes and backslashes escaped, what is not visible ASCII replaced."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(c if " " <= c <= "~" and c not in '"\\' else _escaped(ord(c)) for c in text)


def _escaped(code: int) -> str:
    """A JSON escape; what is no character of the basic plane (a stray surrogate) becomes U+FFFD."""
    return f"\\u{code if code < 0xD800 or 0xE000 <= code <= 0xFFFF else 0xFFFD:04x}"
