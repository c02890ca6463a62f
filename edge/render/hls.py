"""HLS (RFC 8216, rfc8216bis 4.4.6.6): each variant once a pathway, its renditions in groups of the pathway's own.

Pathway A keeps its relative URIs, so it is wherever the playlist came from. Clones are not used: of three players two
fail with them (contracts.md).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edge.render.template import NAMES, STEERING, UNTOUCHED, Template, Wanted, decoded, place

_VARIANT = "#EXT-X-STREAM-INF:"
_RENDITION = "#EXT-X-MEDIA:"
_I_FRAMES = "#EXT-X-I-FRAME-STREAM-INF:"
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
NOBODY = "."
"""The pathway of variants that name none (rfc8216bis 4.4.6.2), of which there is none here: players begin with the
first that they see. Shaka does not steer where PATHWAY-ID is missing."""
_GROUPS = ("AUDIO", "VIDEO", "SUBTITLES")


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag that a pathway has a copy of; `uri` is the line behind it, None where the URI is an attribute."""

    tag: str
    attributes: tuple[tuple[str, str], ...]
    uri: str | None = None

    def value(self, name: str) -> str | None:
        """An attribute as it is written."""
        return dict(self.attributes).get(name)


def prepare(stored: bytes, wanted: Wanted) -> Template:
    """The template. ValueError when `stored` is no master playlist."""
    head, entries = _parse(decoded(stored))
    kept = _capped(entries, wanted.cap_kbps)
    if wanted.ways < 2:
        if len(kept) == len(entries):
            return UNTOUCHED
        return Template("\n".join([*head, *_lines(kept, 0, named=False), ""]))
    first = NAMES[0] if wanted.default else NOBODY
    steering = f'#EXT-X-CONTENT-STEERING:SERVER-URI="{STEERING}",PATHWAY-ID="{first}"'
    lines = [*head, *([steering] if wanted.steered else [])]
    for at in range(wanted.ways):
        lines += _lines(kept, at, named=True)
    return Template("\n".join([*lines, ""]))


def _parse(text: str) -> tuple[list[str], list[Entry]]:
    """(lines that stand once, entries)."""
    lines = (line.removesuffix("\r") for line in text.split("\n"))  # str.splitlines ends lines at U+2028 and more
    if next(lines, "") != "#EXTM3U":
        raise ValueError("not a playlist")
    head, entries = ["#EXTM3U"], []
    for line in lines:
        tag = next((tag for tag in (_VARIANT, _RENDITION, _I_FRAMES) if line.startswith(tag)), None)
        if tag is None:
            head += [line] if line else []
            continue
        attributes = tuple(_ATTRIBUTE.findall(line.removeprefix(tag)))
        entries.append(Entry(tag, attributes, next(lines, None) if tag == _VARIANT else None))
    if not any(entry.tag == _VARIANT and entry.uri for entry in entries):
        raise ValueError("not a master playlist")
    return head, entries


def _capped(entries: list[Entry], cap_kbps: int | None) -> list[Entry]:
    """Without variants above the cap (CDN-06, MAN-17), the lowest kept whatever it has. The cap is on what a rung needs
    on average: its peaks are what buffers are for."""
    if cap_kbps is None:
        return entries
    found = []
    for tag in (_VARIANT, _I_FRAMES):
        alike = [entry for entry in entries if entry.tag == tag]
        lowest = min(map(_bits, alike), default=0)
        found += [entry for entry in alike if _bits(entry) > max(cap_kbps * 1000, lowest)]
    return [entry for entry in entries if not any(entry is each for each in found)]


def _bits(entry: Entry) -> int:
    text = entry.value("AVERAGE-BANDWIDTH") or entry.value("BANDWIDTH") or ""
    if not text.isdecimal():
        raise ValueError("a variant without BANDWIDTH")
    return int(text)


def _lines(entries: list[Entry], at: int, *, named: bool) -> Iterator[str]:
    """The entries as pathway `at` has them."""
    for entry in entries:
        written = [(name, _written(entry, name, value, at)) for name, value in entry.attributes]
        if named and entry.tag != _RENDITION:
            written.append(("PATHWAY-ID", f'"{NAMES[at]}"'))
        yield entry.tag + ",".join(f"{name}={value}" for name, value in written)
        if entry.uri is not None:
            yield _moved(entry.uri, at)


def _written(entry: Entry, name: str, value: str, at: int) -> str:
    if name == "URI":
        return f'"{_moved(value[1:-1], at)}"'
    if at and (name == "GROUP-ID" if entry.tag == _RENDITION else name in _GROUPS):
        return f'{value[:-1]}-{NAMES[at]}"'
    return value


def _moved(uri: str, at: int) -> str:
    """A URI beside the playlist, as pathway `at` has it; an absolute one is everywhere the same."""
    return uri if at == 0 or "://" in uri or uri.startswith("/") else place(at) + uri
