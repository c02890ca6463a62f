"""CPU a hit, a panel a size, a bar a peer: an SVG without a library, to be read at 800 pixels."""

from typing import Any
from xml.sax.saxutils import escape

from bench.peers.cases import sizes
from bench.peers.lineup import BARE, LANE, NGINX, VARNISH
from bench.peers.report import better

WIDTH = 800
_PEERS = {LANE: "Headrace", NGINX: "nginx", VARNISH: "Varnish", BARE: "bare sendfile"}
"""Who is shown. The node without its lane is not a peer, and several times as long."""
_COLUMNS, _MARGIN, _LABELS, _NUMBERS = 2, 20, 105, 120
_HEAD, _TITLE, _BAR, _SPACE, _FOOT = 66, 28, 26, 24, 34
_OURS, _THEIRS, _INK, _MUTED = "#0b62a8", "#b9c0c8", "#1b1f24", "#4a525b"


def chart(rows: list[dict[str, Any]], host: dict[str, str]) -> str:
    """The rows of a peers report as SVG: the plain hits of each size. `host`: the report's own."""
    cases = [case.name for case in sizes() if any(row["case"] == case.name for row in rows)]
    panels = [(case, better({row["peer"]: row["cpu_us"] for row in rows if row["case"] == case})) for case in cases]
    lines = -(-len(panels) // _COLUMNS)
    high = _TITLE + _BAR * len(_PEERS) + _SPACE
    height = _HEAD + lines * high + _FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="DejaVu Sans, Arial, sans-serif" font-size="14" fill="{_INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(_MARGIN, 28, "CPU a cache hit, by size of the answer", 'font-size="19" font-weight="bold"'),
        _text(_MARGIN, 50, "Microseconds of one core; shorter is better. In brackets: times nginx's.", _muted()),
    ]
    wide = (WIDTH - _MARGIN) // _COLUMNS
    for number, (case, costs) in enumerate(panels):
        left, top = _MARGIN + number % _COLUMNS * wide, _HEAD + number // _COLUMNS * high
        parts += _panel(left, top, wide - _MARGIN, case, costs)
    said = (
        f"{host['date']}, {host['cpu']}; nginx {host['nginx']} (better of tcp_nopush on and off), "
        f"Varnish {host['varnish']}"
    )
    parts.append(_text(_MARGIN, height - 14, said, _muted('font-size="12"')))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: int, top: int, wide: int, case: str, costs: dict[str, float]) -> list[str]:
    most = max(costs.get(peer, 0.0) for peer in _PEERS) or 1.0
    parts = [_text(left, top + 16, case, 'font-weight="bold"')]
    for number, (peer, name) in enumerate(each for each in _PEERS.items() if each[0] in costs):
        y = top + _TITLE + _BAR * number
        long = costs[peer] / most * (wide - _LABELS - _NUMBERS)
        weight = 'font-weight="bold"' if peer == LANE else ""
        colour = _OURS if peer == LANE else _THEIRS
        parts.append(_text(left + _LABELS - 8, y + 16, name, f'text-anchor="end" {weight}'))
        parts.append(
            f'<rect x="{left + _LABELS}" y="{y + 2}" width="{long:.1f}" height="{_BAR - 7}" rx="2" fill="{colour}"/>'
        )
        parts.append(_text(left + _LABELS + long + 6, y + 16, _figure(costs[peer], costs.get(NGINX)), weight))
    return parts


def _figure(cost: float, nginx: float | None) -> str:
    shown = f"{cost:,.0f}" if cost >= 100 else f"{cost:.1f}"
    return f"{shown} ({cost / nginx:.2f})" if nginx else shown


def _text(x: float, y: float, text: str, how: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {how}>{escape(text)}</text>'


def _muted(how: str = "") -> str:
    return f'fill="{_MUTED}" {how}'
