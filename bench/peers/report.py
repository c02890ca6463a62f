"""Rows as a report: costs over those of each peer, and which targets of issue 4 were missed."""

import datetime
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.peers import many
from bench.peers.cases import Row
from bench.peers.lineup import BARE, LANE, NGINX, VARNISH
from bench.peers.many import Compared
from bench.peers.processes import Peer, which
from bench.record import Machine
from bench.report import Report

_MOST = {
    ("2 KB", NGINX): 1 / 1.0,
    ("2 KB", VARNISH): 1 / 1.2,
    ("64 KB", NGINX): 1 / 0.95,
    ("1 MiB", NGINX): 0.5,
    ("4 MiB", NGINX): 0.85,
    ("1 MiB", BARE): 1.15,
    ("4 MiB", BARE): 1.15,
}
"""The CPU a request over a peer's, at most."""
_MOST_BESIDE_PLAIN = 1.2
"""A range's or a 304's CPU over the plain hit's, at most."""
_MOST_OF_ONE = 1 / 0.9
"""The CPU a request of many objects, or of two workers, over that of one, at most."""
_MOST_A_MISS_S = 0.0015
_MOST_BESIDE_SLOW_S = 0.005
"""The p99 of a quick viewer."""


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Headrace's CPU a request over every peer's (of nginx's settings the better), and over its own plain hit."""
    found: dict[str, float] = {}
    for case in dict.fromkeys(row.case for row in rows):
        costs = {row.peer: row.cost_s for row in rows if row.case == case}
        nginx = [cost for peer, cost in costs.items() if peer.startswith(NGINX)]
        if nginx:
            costs = {peer: cost for peer, cost in costs.items() if not peer.startswith(NGINX)} | {NGINX: min(nginx)}
        ours = costs.pop(LANE, None)
        if ours is None:
            continue
        found |= {f"{case} / {peer}": ours / cost for peer, cost in costs.items() if cost}
        plain = [row.cost_s for row in rows if (row.case, row.peer) == (case.partition(",")[0], LANE)]
        if "," in case and plain:
            found[f"{case} / plain"] = ours / plain[0]
    return found


def failed(found: dict[str, float]) -> tuple[str, ...]:
    """The targets that these ratios miss, in words."""
    bounds = {f"{case} / {peer}": most for (case, peer), most in _MOST.items()}
    bounds |= {each: _MOST_BESIDE_PLAIN for each in found if re.search(r", (Range|If-).* / plain$", each)}
    return tuple(
        f"{each}: {found[each]:.2f} times the CPU a request, at most {most:.2f} wanted"
        for each, most in bounds.items()
        if each in found and found[each] > most
    )


def failed_alone(compared: dict[str, Compared]) -> tuple[str, ...]:
    """The targets that Headrace misses without anybody beside it, in words."""
    missed = [
        f"{name}: {each.ratio:.2f} times the CPU a request of one, at most {_MOST_OF_ONE:.2f} wanted"
        for name, each in compared.items()
        if (name == many.WORKERS or name.endswith(many.POPULAR)) and each.ratio > _MOST_OF_ONE
    ]
    miss, slow = compared.get(many.MISS), compared.get(many.SLOW)
    if miss and miss.added_p50_s > _MOST_A_MISS_S:
        missed.append(f"{many.MISS} adds {miss.added_p50_s * 1e3:.2f} ms at p50, at most 1.5 ms wanted")
    if slow and (p99 := slow.line()["p99_ms"]) > _MOST_BESIDE_SLOW_S * 1e3:
        missed.append(f"{many.SLOW}: p99 of a quick one {p99:.2f} ms, less than 5 ms wanted")
    return tuple(missed)


def report(
    rows: Sequence[Row],
    peers: Sequence[Peer],
    parameters: dict[str, Any],
    compared: dict[str, Compared],
    memory: dict[str, int],
) -> Report:
    """All of it, with what the peers were told and what they ran on. `memory`: bytes of nodes, by what they hold."""
    found = ratios(rows)
    figures = {
        "rows": [row.line() for row in rows],
        "alone": {name: each.line() for name, each in compared.items()},
        "pss_mb": {name: round(size / 1e6, 1) for name, size in memory.items()},
        "host": host(),
        "settings": {peer.name: peer.settings for peer in peers},
    }
    alone = {f"{name} / one": each.ratio for name, each in compared.items() if name not in (many.MISS, many.SLOW)}
    return Report("peers", parameters, figures, found | alone, (*failed(found), *failed_alone(compared)))


def congestion_control() -> str:
    """The kernel's, for every peer: what a large body costs depends on it more than on the server."""
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


def host() -> dict[str, str]:
    """What the figures depend on: they are of that day and machine."""
    machine = Machine.this()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": f"{machine.cores} x {machine.cpu}",
        "kernel": platform.release().partition("-")[0],
        "congestion control": congestion_control(),
        "nginx": _version("nginx", "-v"),
        "varnish": _version("varnishd", "-V"),
        "python": platform.python_version(),
    }


def _version(command: str, option: str) -> str:
    """What it says of itself: both say it on standard error."""
    found = which(command)
    if found is None:
        return "none"
    said = subprocess.run([found, option], capture_output=True, text=True, check=False, timeout=10).stderr
    number = re.search(r"\d+\.\d+(\.\d+)?", said)
    return number[0] if number else "unknown"
