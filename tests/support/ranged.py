"""An upstream that serves ranges of a body that a test may change, and remembers what it was asked for."""

import re
from dataclasses import dataclass, field

from tests.support.upstream import Call, head

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass
class Ranged:
    """Call it as a script. `ranges` and `sent` tell what every request asked for and how many bytes it got."""

    body: bytes
    fields: dict[str, str] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    sent: int = 0

    async def __call__(self, call: Call) -> None:
        """Answer one request: 304, 412, 416, 206 or 200 (RFC 9110 13.2.2)."""
        wanted, tag = call.field("Range"), self.fields.get("ETag")
        self.ranges.append(wanted)
        if call.field("If-Match") not in (None, tag):
            await call.answer(status=412, **self.fields)
        elif tag is not None and call.field("If-None-Match") == tag:
            await call.answer(status=304, **self.fields)
        elif wanted is None:
            await self.send(call, 200, self.body, {})
        else:
            await self._part(call, wanted)

    async def _part(self, call: Call, wanted: str) -> None:
        match = _RANGE.fullmatch(wanted)
        assert match, wanted
        first, size = int(match[1]), len(self.body)
        if first >= size:
            await call.answer(status=416, Content_Range=f"bytes */{size}")
            return
        last = min(int(match[2]), size - 1)
        await self.send(call, 206, self.body[first : last + 1], {"Content_Range": f"bytes {first}-{last}/{size}"})

    async def send(self, call: Call, status: int, data: bytes, more: dict[str, str]) -> None:
        """Put an answer on the wire."""
        self.sent += len(data)
        await call.send(head(status, length=len(data), **(self.fields | more)) + data)
