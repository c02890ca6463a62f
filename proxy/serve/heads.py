"""Recognition for the fast lane: a complete head in a strict grammar, or none of our business.

What is recognised has no body and nothing that changes how its connection is read, so where it ends cannot be
disputed. The lines behind the first one are nearly always those of the request before: they are remembered whole.
"""

import re
from dataclasses import dataclass, replace

from kit.memo import Memo
from proxy.http import loop
from proxy.http.fields import Fields, values
from proxy.serve.exchange import valid_id

MOST_BYTES = 7_000
"""Of a head; longer ones are aiohttp's. Targets and fields stay below every other bound."""
_REMEMBERED = 4096

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~]+(?:[ \t]+[!-~]+)*)?)[ \t]*\r\n")
_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n){1,64}\r\n")
_FIRST = re.compile(rb"([A-Z]{1,20}) [!-~]+ HTTP/1\.[01]\r\n")
_GET, _VERSION = b"GET /", b" HTTP/1.1\r\n"
_FRAMING = frozenset({"content-length", "transfer-encoding", "expect", "upgrade", "trailer", "te", "proxy-connection"})
"""Fields that announce a body, or another way to read the connection."""
_AIOHTTPS = frozenset({"max-forwards"})
"""Fields that mean more than a stored answer can say."""
_UNREPEATED = frozenset({"headrace-node"})
"""Fields that no two requests have in common."""
CONDITIONS = frozenset({"range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
_SINGLE = CONDITIONS | {"host", "connection", "x-request-id"}
_PERSISTENCE = {"keep-alive": False, "close": True}


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The field lines of a head. `plain`: the lane may answer it. `repeats`: they may come again. `request_id`: the
    caller's, where it is a good one. `conditions`: the fields that choose among 200, 206, 304, 412 and 416."""

    fields: Fields
    plain: bool
    repeats: bool
    close: bool
    conditions: Fields
    request_id: str | None


Head = tuple[str, Block, int]
"""(target, field lines, bytes of the whole head), the lines recognised. The target is "" where only aiohttp may
answer; else it is what stands where a target should, not looked at: only a known one may be answered (`sound`)."""


class Heads:
    """Reads heads; remembers blocks of fields, boundedly."""

    def __init__(self, name: str, *, closing: bool = False) -> None:
        """For the cache `name`; `closing`: every request counts as its connection's last."""
        self._name, self._closing = name, closing
        self._blocks: Memo[bytes, Block] = Memo(_REMEMBERED)

    def read(self, data: bytes) -> Head | None:
        """The head that `data` begins with; None unless it is whole and its fields are in the grammar."""
        start = data.find(b"\n") + 1
        rest = data[start:]
        block = self._blocks.get(rest)
        size = len(data)
        if block is None:
            stop = rest.find(b"\r\n\r\n", 0, MOST_BYTES) + 4
            if not start or stop < 4 or (block := self._block(rest[:stop])) is None:
                return None
            size = start + stop
        if block.plain and size < MOST_BYTES and data.startswith(_GET) and data.endswith(_VERSION, 0, start):
            return data[4 : start - 11].decode("latin-1"), block, size
        return "", block, size

    def _block(self, text: bytes) -> Block | None:
        block = self._blocks.get(text)
        if block is None and (block := parse(text, self._name)) is not None:
            block = replace(block, close=True) if self._closing else block
            if block.repeats:
                self._blocks.put(text, block)
        return block


def sound(data: bytes) -> bool:
    """Whether the first line of what Heads.read read is in the grammar (RFC 9112 3, in visible ASCII). To be asked
    before aiohttp is given exactly that head; who answers knows the target, and need not."""
    first = _FIRST.match(data)
    return first is not None and first[1] != b"CONNECT"


def parse(text: bytes, cache: str) -> Block | None:
    """The fields of `text`, which ends with the empty line: RFC 9112 5 without obsolete forms, in ASCII. None outside
    the grammar, and where a field announces a body or another protocol. A request that was at `cache` before is
    not the lane's (RFC 8586)."""
    if not _LINES.fullmatch(text):
        return None
    fields = tuple((name.decode("ascii"), value.decode("ascii")) for name, value in _LINE.findall(text))
    names = [name.lower() for name, _ in fields]
    persistence = values(fields, "Connection")
    if not _FRAMING.isdisjoint(names) or [each for each in persistence if each.lower() not in _PERSISTENCE]:
        return None
    once = not loop.passes(fields, cache) and all(names.count(name) == 1 for name in _SINGLE.intersection(names))
    ids = values(fields, "X-Request-ID")
    return Block(
        fields,
        plain=once and "host" in names and _AIOHTTPS.isdisjoint(names),
        repeats=_UNREPEATED.isdisjoint(names),
        close=any(_PERSISTENCE[each.lower()] for each in persistence),
        conditions=tuple(each for each, name in zip(fields, names, strict=True) if name in CONDITIONS),
        request_id=ids[0] if ids and valid_id(ids[0]) else None,
    )
