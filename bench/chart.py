"""Byte miss ratio over cache size, a panel a skew, a line a policy: an SVG without a library."""

from typing import Any
from xml.sax.saxutils import escape

_WIDE, _HIGH, _LEFT, _TOP, _GAP = 260, 220, 50, 40, 40
_COLOURS = ("#888888", "#c77d00", "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#17becf", "#e377c2")


def chart(rows: list[dict[str, Any]]) -> str:
    """The rows of an eviction report as SVG; those of libcachesim are dashed."""
    zipfs = sorted({row["zipf"] for row in rows})
    kinds = list(dict.fromkeys((row["in"], row["policy"]) for row in rows))
    width = _LEFT + len(zipfs) * (_WIDE + _GAP) + 190
    height = max(_TOP + _HIGH + 60, _TOP + 18 * len(kinds) + 20)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="16" font-size="13">Byte miss ratio by cache size (share of the footprint)</text>',
    ]
    for column, zipf in enumerate(zipfs):
        parts += _panel(_LEFT + column * (_WIDE + _GAP), zipf, [row for row in rows if row["zipf"] == zipf], kinds)
    parts += _legend(_LEFT + len(zipfs) * (_WIDE + _GAP), kinds)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: int, zipf: float, rows: list[dict[str, Any]], kinds: list[tuple[str, str]]) -> list[str]:
    shares = sorted({row["share"] for row in rows})
    parts = [f'<text x="{left + _WIDE / 2}" y="{_TOP - 8}" text-anchor="middle">zipf {zipf:g}</text>']
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        parts.append(f'<line x1="{left}" x2="{left + _WIDE}" y1="{y}" y2="{y}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{tenth / 10:.1f}</text>')
    for place, share in enumerate(shares):
        at = _x(left, place, len(shares))
        parts.append(f'<text x="{at}" y="{_TOP + _HIGH + 16}" text-anchor="middle">{share:.0%}</text>')
    for kind in kinds:
        points = {row["share"]: row["byte_miss_ratio"] for row in rows if (row["in"], row["policy"]) == kind}
        path = " ".join(
            f"{_x(left, place, len(shares)):.1f},{_y(points[share]):.1f}"
            for place, share in enumerate(shares)
            if share in points
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke-width="2" {_stroke(kinds, kind)}/>')
    return parts


def _legend(left: int, kinds: list[tuple[str, str]]) -> list[str]:
    parts = []
    for number, kind in enumerate(kinds):
        y = _TOP + 18 * number
        parts.append(f'<line x1="{left}" x2="{left + 22}" y1="{y}" y2="{y}" stroke-width="2" {_stroke(kinds, kind)}/>')
        name = kind[1] if kind[0] == "node" else f"{kind[1]} ({kind[0]})"
        parts.append(f'<text x="{left + 28}" y="{y + 4}">{escape(name)}</text>')
    return parts


def _stroke(kinds: list[tuple[str, str]], kind: tuple[str, str]) -> str:
    same = [each for each in kinds if each[0] == kind[0]]
    colour = _COLOURS[same.index(kind) % len(_COLOURS)]
    return f'stroke="{colour}"' + ("" if kind[0] == "node" else ' stroke-dasharray="4 3"')


def _x(left: int, place: int, count: int) -> float:
    return left + 20 + place * (_WIDE - 40) / max(1, count - 1)


def _y(ratio: float) -> float:
    return _TOP + _HIGH * (1 - ratio)
