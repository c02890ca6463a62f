"""Whatever two viewers ask of two workers, each gets its own variant of the version of now (RFC 9111 4.1, 4.4)."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.admit.open import OpenTier
from kit.clock import ManualClock
from kit.metrics import Board
from proxy.host.worker import families
from tests.support.nodes import Node, node
from tests.support.upstream import Call, upstream

VARY = [("Accept-Language",), (), ("Accept-Encoding",), ("Accept-Encoding", "Accept-Language")]
"""What the origin's answer depends on, by version: it changes its mind with every PUT."""
_languages = st.sampled_from([None, "", "de", "sv", "de, sv"])
_codings = st.sampled_from([None, "", "gzip", "br, gzip", "gzip;q=0.5, br", "identity;q=0, *"])
_asked = st.tuples(st.sampled_from("GGGGH"), _languages, _codings, st.integers(0, 1))
_steps = st.one_of(st.lists(_asked, min_size=1, max_size=4), st.just("put"), st.integers(1, 30))


class Origin:
    """Says which version it is and what of the request it looked at."""

    def __init__(self) -> None:
        self.version = 0

    def body(self, language: str | None, codings: str | None) -> bytes:
        """The answer's bytes for these fields."""
        seen = {"Accept-Language": language, "Accept-Encoding": codings is None or "br" in codings or "*" in codings}
        return f"{self.version}:{[seen[name] for name in VARY[self.version % 4]]}".encode()

    async def script(self, call: Call) -> None:
        """Play the origin; a tag of its own for every variant."""
        if call.method == "PUT":
            self.version += 1
            return await call.answer(status=204)
        body = self.body(call.field("Accept-Language"), call.field("Accept-Encoding"))
        tag = f'"{body.hex()}"'
        fields = {"ETag": tag, "Cache_Control": "max-age=20"}
        if VARY[self.version % 4]:
            fields["Vary"] = ", ".join(VARY[self.version % 4])
        return (
            await call.answer(b"", 304, **fields)
            if call.field("If-None-Match") == tag
            else await call.answer(body, **fields)
        )


@settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(_steps, min_size=1, max_size=14))
def test_each_gets_its_own_variant(steps: list[list[tuple[str, str | None, str | None, int]] | str | int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_play(Path(directory), steps))


async def _play(directory: Path, steps: list[list[tuple[str, str | None, str | None, int]] | str | int]) -> None:
    origin, clock = Origin(), ManualClock()
    board = Board(families(OpenTier.reasons), 3)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(upstream(origin.script))
        workers = [
            await stack.enter_async_context(node(directory, server.url, board=board, number=number, clock=clock))
            for number in range(2)
        ]
        for step in steps:
            if isinstance(step, int):
                clock.advance(step)
            elif isinstance(step, str):
                await workers[0].get("/a", "PUT", b"x")
            else:
                await asyncio.gather(*(_ask(workers[each[3]], origin, *each[:3]) for each in step))
    board.close()


async def _ask(worker: Node, origin: Origin, method: str, language: str | None, codings: str | None) -> None:
    fields = {"Accept_Language": language, "Accept_Encoding": codings}
    given = {name: value for name, value in fields.items() if value is not None}
    got = await worker.get("/a", "HEAD" if method == "H" else "GET", **given)
    expected = origin.body(language, codings)
    assert (got.status, got.field("ETag")) == (200, f'"{expected.hex()}"')
    assert got.body == (b"" if method == "H" else expected)
