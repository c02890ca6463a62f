"""A report to read: a line a case, a column a peer, our ratio to the better nginx, a mark where a target is missed."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from bench.peers import many
from bench.peers.lineup import AIOHTTP, BARE, LANE, NGINX, TLS, VARNISH
from bench.peers.report import better

MISSED = "!"
"""Stands behind a line whose target was missed; `failed` says which."""
_COLUMNS = {LANE: "headrace", AIOHTTP: "no lane", NGINX: "nginx", VARNISH: "varnish", BARE: "loop"}
_FIGURES = {"cpu_us": "CPU, us a request", "p50_ms": "p50, ms", "p99_ms": "p99, ms"}
_NONE = "-"

Line = Mapping[str, Any]


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """What a report's figures say: three of the cases, one of what has baselines of its own, one of memory."""
    rows, compared, targets = figures["rows"], figures["compared"], figures["targets"]
    hits = [_hits(rows, figure, targets) for figure in _FIGURES]
    return [*hits, *([_compared(compared, targets)] if compared else []), _memory(rows, compared)]


def _hits(rows: Sequence[Line], figure: str, targets: Sequence[Line]) -> Table:
    """One figure of every peer. nginx: the setting that costs less CPU."""
    table = _table(_FIGURES[figure], *_COLUMNS.values(), *(["/nginx", "wanted", ""] if figure == "cpu_us" else []))
    for case in dict.fromkeys(row["case"] for row in rows):
        of = {row["peer"]: row for row in rows if row["case"] == case}
        cheapest = _cheapest(of)
        cells = [_number(cheapest[peer][figure]) if peer in cheapest else _NONE for peer in _COLUMNS]
        if figure == "cpu_us":
            cells += [_over_nginx(cheapest), _wanted(case, targets), _mark(case, targets)]
        table.add_row(case, *cells)
    return table


def _compared(lines: Sequence[Line], targets: Sequence[Line]) -> Table:
    """`/own`: CPU over that of the peer's own baseline."""
    table = _table("own baseline", "peer", "CPU us", "/nginx", "/own", "p50 ms", "p99 ms", "own p99", "")
    before = ""
    for line in lines:
        case, peer = line["case"], line["peer"]
        rest = [_number(line[name]) for name in ("over_baseline", "p50_ms", "p99_ms", "baseline_p99_ms")]
        if case == before:
            ours = ["", ""]
        else:
            ours = [_over_nginx(_cheapest({each["peer"]: each for each in lines if each["case"] == case}))]
            ours.append(_mark(case, targets))
        table.add_row("" if case == before else case, _short(peer), _number(line["cpu_us"]), ours[0], *rest, ours[1])
        before = case
    return table


def _memory(rows: Sequence[Line], compared: Sequence[Line]) -> Table:
    """After a peer's last case, by process: TLS, two workers and many objects have their own."""
    table = _table("memory, MB", "PSS", "RSS")
    last = {f"{row['peer']}, {TLS}" if row["case"].endswith(TLS) else row["peer"]: row for row in rows}
    for line in compared:
        own = line["case"] == many.WORKERS or line["case"].endswith(many.POPULAR)
        last[f"{line['case']}: {_short(line['peer'])}" if own else line["peer"]] = line
    for name, line in last.items():
        table.add_row(name, _number(line["pss_mb"]), _number(line["rss_mb"]))
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for number, name in enumerate(names):
        words = number == 0 or name == "peer"
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    return table


def _cheapest(of: Mapping[str, Line]) -> dict[str, Line]:
    """With one nginx: the line that costs least CPU."""
    costs = {peer: line["cpu_us"] for peer, line in of.items()}
    best = better(costs)
    return {
        name: next(line for peer, line in of.items() if peer.startswith(name) and costs[peer] == cost)
        for name, cost in best.items()
    }


def _over_nginx(of: Mapping[str, Line]) -> str:
    nginx = of[NGINX]["cpu_us"] if NGINX in of else 0
    return f"{of[LANE]['cpu_us'] / nginx:.2f}" if nginx and LANE in of else _NONE


def _wanted(case: str, targets: Sequence[Line]) -> str:
    return next((f"{each['most']:.2f}" for each in targets if (each["case"], each["of"]) == (case, NGINX)), _NONE)


def _mark(case: str, targets: Sequence[Line]) -> str:
    return MISSED if any(each["case"] == case and each["missed"] for each in targets) else ""


def _short(peer: str) -> str:
    return peer.replace(" nopush off", "").replace(" nopush on", "").replace(" threads", "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
