"""Plays a case on the wire: a scripted origin, a real edge with its fast lane, viewers on sockets, a clock that moves
when told. What it finds wrong it says in words, a line a fault."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from kit.clock import ManualClock
from proxy.http import dates
from tests.conformance.case import Came, Case, Lines, Says, Step
from tests.support.nodes import Node, node
from tests.support.upstream import Call, Upstream, upstream
from tests.support.wire import Answer, Viewer, until

_DATE = re.compile(r"\{([+-]?\d+)\}")
_VALIDATORS = ("If-None-Match", "If-Modified-Since")
_BODILESS = (204, 304)


async def play(case: Case, directory: Path) -> tuple[str, ...]:
    """What is wrong, () for nothing."""
    run = _Run(ManualClock())
    async with upstream(run.origin) as origin, node(directory, origin.url, clock=run.clock) as edge:
        for number, step in enumerate(case.steps):
            run.step, run.number = step, number
            await run.ask(edge, origin)
            run.clock.advance(step.then)
    return tuple(run.faults)


class _Listening(Viewer):
    """A viewer that remembers every head, interim ones too."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.interim: list[Answer] = []

    async def head(self) -> Answer:
        got = await super().head()
        if got.status < 200:
            self.interim.append(got)
        return got


@dataclass
class _Run:
    """A case under way."""

    clock: ManualClock
    faults: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    """What the origin sent last, by target."""
    step: Step = field(default_factory=lambda: Step(Came.FETCHED))
    number: int = 0

    async def origin(self, call: Call) -> None:
        """Answer as this step wants it."""
        said = self.step.says
        self.clock.advance(said.delay)
        if said.dies:
            call.end()
            return
        for status, lines in said.interim:
            await call.send(self._head(status, lines, None))
        body = self._body(said)
        if call.method == "HEAD" or said.status in _BODILESS:
            await call.send(self._head(said.status, said.lines, None if said.status in _BODILESS else len(body)))
        else:
            await call.send(self._head(said.status, said.lines, len(body)) + body)

    async def ask(self, edge: Node, origin: Upstream) -> None:
        """Play the step and look at what came of it."""
        before = len(origin.calls)
        async with _viewer(edge.port) as viewer:
            await viewer.send(self._request())
            answer = await viewer.answer(self.step.method)
        await until(
            lambda: not any(each.get_name().startswith(("fills:", "runs:")) for each in asyncio.all_tasks()),
            "fills end",
        )
        calls = origin.calls[before:]
        self._judge(answer, calls)
        self._judge_fields(answer, calls)
        heard = tuple(each.status for each in viewer.interim)
        if heard != self.step.interim:
            self._fault(f"interim answers {heard}, not {self.step.interim}")
        if any(self._sent_body(call) for call in calls):
            self.bodies[self.step.target] = self._body(self.step.says)

    def _judge(self, answer: Answer, calls: list[Call]) -> None:
        step = self.step
        came = _came(answer, calls)
        if came is not step.came:
            self._fault(f"{came}, not {step.came}")
            return
        status = step.status or (step.says.status if step.came in (Came.FETCHED, Came.REFETCHED) else 200)
        if answer.status != status:
            self._fault(f"status {answer.status}, not {status}")
        elif (step.method == "GET" and answer.status == 200) or step.text is not None:
            wanted = self._text()
            if answer.body != wanted:
                self._fault(f"body {answer.body!r}, not {wanted!r}")

    def _text(self) -> bytes:
        step = self.step
        if step.text is not None:
            return step.text
        fetches = step.came in (Came.FETCHED, Came.REFETCHED) or (
            step.came is Came.VALIDATED and step.says.status != 304
        )
        return self._body(step.says) if fetches else self.bodies.get(step.target, b"")

    def _judge_fields(self, answer: Answer, calls: list[Call]) -> None:
        for line in self.step.shows:
            self._present("the answer", answer.fields, line)
        for line in self.step.hides:
            self._absent("the answer", answer.fields, line)
        sent = tuple(calls[0].fields) if calls else ()
        if calls and self.step.asked_by not in ("", calls[0].method):
            self._fault(f"the origin got {calls[0].method}, not {self.step.asked_by}")
        for line in self.step.sends:
            self._present("the request", sent, line)
        for line in self.step.omits:
            self._absent("the request", sent, line)

    def _present(self, where: str, fields: tuple[tuple[str, str], ...], line: str) -> None:
        name, _, value = self._dated(line).partition(": ")
        found = [each for key, each in fields if key.lower() == name.lower()]
        if not found or (value and ", ".join(found) != value):
            self._fault(f"{where} has {name} {found}, not {value or 'any'}")

    def _absent(self, where: str, fields: tuple[tuple[str, str], ...], line: str) -> None:
        name, _, value = self._dated(line).partition(": ")
        if any(key.lower() == name.lower() and value in ("", each) for key, each in fields):
            self._fault(f"{where} has {line}")

    def _fault(self, text: str) -> None:
        self.faults.append(f"{self.number + 1}: {text}")

    def _sent_body(self, call: Call) -> bool:
        return call.method == "GET" and not self.step.says.dies and self.step.says.status not in _BODILESS

    def _body(self, said: Says) -> bytes:
        return f"body {self.number + 1}".encode() if said.body is None else said.body

    def _request(self) -> bytes:
        step = self.step
        lines = [f"{step.method} {step.target} HTTP/1.1", "Host: edge.test", *map(self._dated, step.ask)]
        if step.body is not None:
            lines.append(f"Content-Length: {len(step.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (step.body or b"")

    def _head(self, status: int, lines: Lines, length: int | None) -> bytes:
        head = [f"HTTP/1.1 {status} Scripted", *map(self._dated, lines)]
        if length is not None:
            head.append(f"Content-Length: {length}")
        return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")

    def _dated(self, line: str) -> str:
        return _DATE.sub(lambda match: dates.render(self.clock.wall() + int(match[1])), line)


def _came(answer: Answer, calls: list[Call]) -> Came:
    if not calls:
        return Came.HIT
    if "; hit" in answer.cache:
        return Came.STALE
    if not any(calls[0].field(name) for name in _VALIDATORS):
        return Came.FETCHED
    return Came.VALIDATED if len(calls) == 1 else Came.REFETCHED


@contextlib.asynccontextmanager
async def _viewer(port: int) -> AsyncIterator[_Listening]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield _Listening(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
