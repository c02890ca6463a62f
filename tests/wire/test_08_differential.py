"""Whatever viewers ask, an edge answers as its origin would have: generated requests against a simple model."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.clock import ManualClock
from tests.support.nodes import Node, node
from tests.support.upstream import Call, upstream
from tests.support.wire import Answer

CHANGED = "Sun, 06 Nov 1994 08:49:37 GMT"
POLICIES = {
    "/day": "max-age=86400",
    "/short": "max-age=10",
    "/always": "no-cache",
    "/never": "no-store",
    "/big": "max-age=10",
    "/chunked": "max-age=10",
}
OWN_CONDITIONS = {"Range", "If_Range", "If_None_Match", "If_Modified_Since", "If_Match"}


@dataclass(frozen=True)
class Asked:
    """One generated request."""

    method: str
    path: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass
class Model:
    """A simple origin: bodies that a PUT changes; answers by the plainest reading of RFC 9110 13 and 14."""

    version: dict[str, int] = field(default_factory=dict)

    def body(self, path: str) -> bytes:
        size = 100_000 if path == "/big" else 1000
        return (f"{path}.{self.version.get(path, 0)}." * size)[:size].encode()

    def etag(self, path: str) -> str:
        return f'"{self.version.get(path, 0)}"'

    def answer(self, asked: Asked) -> tuple[int, bytes, str | None]:
        """Status, body, Content-Range."""
        given, body, etag = dict(asked.fields), self.body(asked.path), self.etag(asked.path)
        if given.get("If_Match", etag) != etag:
            return 412, b"", None
        if "If_None_Match" in given:
            if given["If_None_Match"] == etag:
                return 304, b"", None
        elif given.get("If_Modified_Since") == CHANGED:
            return 304, b"", None
        wanted = given.get("Range")
        if asked.method == "HEAD" or wanted is None or given.get("If_Range", etag) != etag:
            return 200, body, None
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(body) - int(last))
        end = min(int(last) + 1, len(body)) if first and last else len(body)
        if start >= len(body):
            return 416, b"", f"bytes */{len(body)}"
        return 206, body[start:end], f"bytes {start}-{end - 1}/{len(body)}"

    async def script(self, call: Call) -> None:
        """Play the origin."""
        if call.method == "PUT":
            self.version[call.target] = self.version.get(call.target, 0) + 1
            return await call.answer(status=204)
        names = ("Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match")
        given = ((name.replace("-", "_"), value) for name in names if (value := call.field(name)))
        status, body, content_range = self.answer(Asked(call.method, call.target, tuple(given)))
        described = {"Content_Range": content_range} if content_range else {}
        described |= {"ETag": self.etag(call.target), "Last_Modified": CHANGED, "Cache_Control": POLICIES[call.target]}
        if call.target == "/chunked" and status == 200 and call.method == "GET":
            lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in described.items())
            half = len(body) // 2
            await call.send(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{lines}\r\n".encode())
            for piece in (body[:half], body[half:], b""):
                await call.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            return None
        return await call.answer(body, status, **described)

    def allows(self, asked: Asked, got: Answer) -> bool:
        """Whether `got` is what this origin would say. Of what is not stored, or not of known length yet, the whole may
        be given where a part or a 304 was possible (RFC 9110 14.2, 13.1)."""
        said = [self.answer(asked)]
        if asked.path in ("/never", "/chunked"):
            said.append(self.answer(Asked(asked.method, asked.path)))
        if asked.method == "HEAD":
            said = [(status, b"", None) for status, _, _ in said]
        return (got.status, got.body, got.field("Content-Range")) in said and got.field("ETag") == self.etag(asked.path)


_tags = st.sampled_from(['"0"', '"1"', '"2"'])
_numbers = st.integers(0, 1200).map(str)
_ranges = st.one_of(
    st.tuples(_numbers, _numbers).map(lambda pair: f"bytes={min(pair, key=int)}-{max(pair, key=int)}"),
    _numbers.map(lambda first: f"bytes={first}-"),
    st.integers(1, 1200).map(lambda last: f"bytes=-{last}"),
)
_fields = st.dictionaries(st.sampled_from(sorted(OWN_CONDITIONS - {"If_Modified_Since"})), _tags, max_size=2).flatmap(
    lambda given: st.one_of(st.just(given), _ranges.map(lambda wanted: given | {"Range": wanted}))
)
_reads = st.builds(
    Asked,
    st.sampled_from(["GET", "GET", "GET", "HEAD"]),
    st.sampled_from(sorted(POLICIES)),
    _fields.map(lambda given: tuple((n, v) for n, v in given.items() if n != "Range" or v.startswith("bytes="))),
)
_steps = st.one_of(
    st.lists(_reads, min_size=1, max_size=3),
    st.builds(lambda path: [Asked("PUT", path)], st.sampled_from(sorted(POLICIES))),
    st.integers(1, 30),
)


@settings(
    max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(_steps, min_size=1, max_size=12))
def test_an_edge_answers_as_its_origin_would(steps: list[list[Asked] | int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_play(Path(directory), steps))


async def _play(directory: Path, steps: list[list[Asked] | int]) -> None:
    model, clock = Model(), ManualClock()
    async with upstream(model.script) as origin, node(directory, origin.url, clock=clock) as edge:
        for step in steps:
            if isinstance(step, int):
                clock.advance(step)
                continue
            for asked, got in zip(step, await asyncio.gather(*(_ask(edge, each) for each in step)), strict=True):
                assert asked.method == "PUT" or model.allows(asked, got), (asked, got)


async def _ask(edge: Node, asked: Asked) -> Answer:
    return await edge.get(asked.path, asked.method, b"x" if asked.method == "PUT" else None, **dict(asked.fields))
