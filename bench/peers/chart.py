"""CPU a request, a panel a size, a bar a peer: an SVG without a library."""

from typing import Any
from xml.sax.saxutils import escape

from bench.peers.cases import sizes

_WIDE, _BAR, _LEFT, _TOP, _GAP = 230, 20, 150, 50, 30
_OURS, _THEIRS = "#1f77b4", "#bbbbbb"


def chart(rows: list[dict[str, Any]]) -> str:
    """The rows of a peers report as SVG: the plain hits of each size. Shorter is better."""
    cases = [case.name for case in sizes() if any(row["case"] == case.name for row in rows)]
    peers = list(dict.fromkeys(row["peer"] for row in rows if row["case"] in cases))
    width, height = _LEFT + len(cases) * (_WIDE + _GAP), _TOP + _BAR * len(peers) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="10" y="18" font-size="13">CPU microseconds a hit, by size (shorter is better)</text>',
    ]
    for number, peer in enumerate(peers):
        parts.append(f'<text x="{_LEFT - 6}" y="{_y(number) + 14}" text-anchor="end">{escape(peer)}</text>')
    for column, case in enumerate(cases):
        costs = {row["peer"]: row["cpu_us"] for row in rows if row["case"] == case}
        parts += _panel(_LEFT + column * (_WIDE + _GAP), case, [(peer, costs.get(peer)) for peer in peers])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: int, case: str, costs: list[tuple[str, float | None]]) -> list[str]:
    most = max((cost for _, cost in costs if cost), default=1.0)
    parts = [f'<text x="{left}" y="{_TOP - 8}">{escape(case)}</text>']
    for number, (peer, cost) in enumerate(costs):
        if cost is None:
            continue
        long = cost / most * (_WIDE - 60)
        colour = _OURS if peer.startswith("headrace") else _THEIRS
        parts.append(f'<rect x="{left}" y="{_y(number) + 3}" width="{long:.1f}" height="{_BAR - 6}" fill="{colour}"/>')
        parts.append(f'<text x="{left + long + 4:.1f}" y="{_y(number) + 14}">{cost:g}</text>')
    return parts


def _y(number: int) -> int:
    return _TOP + _BAR * number
