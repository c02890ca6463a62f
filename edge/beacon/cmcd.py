"""What a player says of itself (CMCD, CTA-5004 and CTA-5004-B), as far as it is a vote on this edge.

A report is a structured field dictionary (RFC 9651), whatever carried it: four header fields, a query parameter, or a
line of a POST. Unknown keys are passed over; a report that cannot be read is none.
"""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

import http_sf
from http_sf.types import Token

MOST_CHARS = 4096
"""Of one report."""
MOST_LINES = 32
"""Reports in one POST that are read."""
MOST_KBPS = 1_000_000
MOST_MS = 3_600_000
StreamClass = Literal["vod", "live", "unknown"]
_CLASSES: dict[str, StreamClass] = {"v": "vod", "l": "live", "ll": "live"}
_PICTURES = ("v", "av")
_QUERY = "CMCD="


@dataclass(frozen=True, slots=True)
class Said:
    """One report. None, 0 or False: not said."""

    session: str = ""
    """The player's own word for its session (sid)."""
    stream: StreamClass = "unknown"
    stalls: int = 0
    """1 when the buffer ran empty (bs, or the state is rebuffering)."""
    rebuffer_ms: int = 0
    """How long it was empty (bsd)."""
    startup_ms: int | None = None
    """From the wish to play to the first picture (msd)."""
    kbps: int = 0
    """Bitrate of the picture that is asked for (br)."""
    top_kbps: int = 0
    """The highest that there is (tb)."""
    throughput_kbps: int = 0
    """As the player measured it (mtp)."""
    failed: bool = False
    """Playing ended by an error (the state is fatal error)."""


def read(told: str) -> Said | None:
    """A report of a request: the header fields joined, or `CMCD=` and its value as the query has it."""
    if len(told) > MOST_CHARS * 3:
        return None
    return parse(unquote(told[len(_QUERY) :], errors="replace") if told.startswith(_QUERY) else told)


def lines(body: bytes) -> list[Said]:
    """The reports of a POST in event mode: one a line."""
    found = (parse(line.decode("utf-8", "replace")) for line in body.split(b"\n", MOST_LINES)[:MOST_LINES])
    return [each for each in found if each is not None]


def parse(text: str) -> Said | None:
    """A dictionary; None when it is none, or empty."""
    try:
        keys = http_sf.parse(text[: MOST_CHARS + 1].encode("ascii"), tltype="dictionary")
    except (ValueError, RecursionError):
        return None
    if not keys or len(text) > MOST_CHARS:
        return None
    state, kind = _word(keys, "sta"), _word(keys, "ot")
    picture = not kind or kind in _PICTURES
    startup = _number(keys, "msd", MOST_MS)
    return Said(
        session=_text(keys, "sid"),
        stream=_CLASSES.get(_word(keys, "st"), "unknown"),
        stalls=int(_flag(keys, "bs") or state == "r"),
        rebuffer_ms=_number(keys, "bsd", MOST_MS) or 0,
        startup_ms=startup,
        kbps=(_number(keys, "br", MOST_KBPS) or 0) if picture else 0,
        top_kbps=(_number(keys, "tb", MOST_KBPS) or 0) if picture else 0,
        throughput_kbps=_number(keys, "mtp", MOST_KBPS) or 0,
        failed=state == "f",
    )


def _item(keys: Any, name: str) -> Any:
    return keys[name][0] if name in keys else None


def _number(keys: Any, name: str, most: int) -> int | None:
    """Version 1 has an integer, version 2 a list of them, each for a type of object: that of the picture counts."""
    value = _item(keys, name)
    if isinstance(value, list):
        pictures = [number for number, parameters in value if any(kind in parameters for kind in _PICTURES)]
        value = (pictures or [number for number, _ in value] or [None])[0]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value, most)


def _flag(keys: Any, name: str) -> bool:
    """Version 2 may give a list of them as well."""
    value = _item(keys, name)
    return value is True or (isinstance(value, list) and any(each is True for each, _ in value))


def _word(keys: Any, name: str) -> str:
    value = _item(keys, name)
    return str(value) if isinstance(value, Token) else ""


def _text(keys: Any, name: str) -> str:
    value = _item(keys, name)
    return value[:64] if isinstance(value, str) else ""
