"""Recognition for the fast lane: a complete head in a strict grammar, or none of our business.

What is recognised has no body and nothing that changes how its connection is read, so where it ends cannot be
disputed. The lines behind the first one are nearly always those of the request before: they are remembered whole.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from kit.memo import Memo
from proxy.http.fields import Fields, values
from proxy.serve.exchange import valid_id

MOST_BYTES = 7_000
"""Of a head; longer ones are aiohttp's. Targets and fields stay below every other bound."""
_REMEMBERED = 4096

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~]+(?:[ \t]+[!-~]+)*)?)[ \t]*\r\n")
_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n){1,64}\r\n")
_FIRST = re.compile(rb"([A-Z]{1,20}) ([!-~]+) HTTP/1\.([01])")
_FRAMING = frozenset({"content-length", "transfer-encoding", "expect", "upgrade", "trailer", "te", "proxy-connection"})
"""Fields that announce a body, or another way to read the connection."""
_AIOHTTPS = frozenset({"cdn-loop", "max-forwards", "headrace-node"})
"""Fields that mean more than a stored answer can say."""
CONDITIONS = frozenset({"range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
_SINGLE = CONDITIONS | {"host", "connection", "x-request-id"}
_PERSISTENCE = {"keep-alive": False, "close": True}


@dataclass(frozen=True, slots=True)
class Block:
    """The field lines of a head. `plain`: the lane may answer it. `conditions`: the fields that choose among 200, 206,
    304, 412 and 416. `request_id`: the caller's, where it is a good one."""

    fields: Fields
    plain: bool
    close: bool
    conditions: Fields
    request_id: str | None


class Head(NamedTuple):
    """A recognised head of `size` bytes. `target` is "" where only aiohttp may answer."""

    target: str
    block: Block
    size: int


class Heads:
    """Reads heads; remembers blocks of fields, boundedly."""

    def __init__(self) -> None:
        self._blocks: Memo[bytes, Block] = Memo(_REMEMBERED)

    def read(self, data: bytes) -> Head | None:
        """The head that `data` begins with; None unless it is whole and in the grammar."""
        line, _, rest = data.partition(b"\r\n")
        block = self._blocks.get(rest)
        if block is not None:
            return _head(line, block, len(data))
        end = rest.find(b"\r\n\r\n", 0, MOST_BYTES) + 4
        if end < 4:
            return None
        if (block := self._block(rest[:end])) is None:
            return None
        return _head(line, block, len(line) + 2 + end)

    def _block(self, text: bytes) -> Block | None:
        block = self._blocks.get(text)
        if block is None and (block := parse(text)) is not None:
            self._blocks.put(text, block)
        return block


def _head(line: bytes, block: Block, size: int) -> Head | None:
    """With its first line looked at: RFC 9112 3, in visible ASCII."""
    if block.plain and line[:5] == b"GET /" and line[-9:] == b" HTTP/1.1" and size < MOST_BYTES:
        target = line[4:-9].decode("latin-1")
        if target.isascii() and target.isprintable() and " " not in target:
            return Head(target, block, size)
    first = _FIRST.fullmatch(line)
    return Head("", block, size) if first and first[1] != b"CONNECT" else None


def parse(text: bytes) -> Block | None:
    """The fields of `text`, which ends with the empty line: RFC 9112 5 without obsolete forms, in ASCII. None outside
    the grammar, and where a field announces a body or another protocol."""
    if not _LINES.fullmatch(text):
        return None
    fields = tuple((name.decode("ascii"), value.decode("ascii")) for name, value in _LINE.findall(text))
    names = [name.lower() for name, _ in fields]
    persistence = values(fields, "Connection")
    if not _FRAMING.isdisjoint(names) or [each for each in persistence if each.lower() not in _PERSISTENCE]:
        return None
    once = all(names.count(name) == 1 for name in _SINGLE.intersection(names))
    ids = values(fields, "X-Request-ID")
    return Block(
        fields,
        plain=once and "host" in names and _AIOHTTPS.isdisjoint(names),
        close=any(_PERSISTENCE[each.lower()] for each in persistence),
        conditions=tuple(each for each, name in zip(fields, names, strict=True) if name in CONDITIONS),
        request_id=ids[0] if ids and valid_id(ids[0]) else None,
    )
