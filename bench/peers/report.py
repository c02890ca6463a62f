"""Rows as a report: costs over those of each peer, and which targets of issue 4 were missed."""

import datetime
import platform
import re
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import many
from bench.peers.cases import Row
from bench.peers.compared import Compared
from bench.peers.lineup import LANE, NGINX
from bench.peers.processes import Peer, which
from bench.peers.targets import ONE, PLAIN, targets
from bench.record import Machine
from bench.report import Report


def ratios(rows: Sequence[Row | Compared]) -> dict[str, float]:
    """Headrace's CPU a request over every peer's (of nginx's settings the better), over its own plain hit, and over
    its own with one object or worker; by "case / whose"."""
    found: dict[str, float] = {}
    for case in dict.fromkeys(row.case for row in rows):
        costs = better({row.peer: row.cost_s for row in rows if row.case == case})
        ours = costs.pop(LANE, None)
        if ours is None:
            continue
        found |= {f"{case} / {peer}": ours / cost for peer, cost in costs.items() if cost}
        found |= {f"{case} / {whose}": ours / cost for whose, cost in _own(rows, case) if cost}
    return found


def better(costs: Mapping[str, float]) -> dict[str, float]:
    """With one nginx: of its settings the one that costs least."""
    nginx = [cost for peer, cost in costs.items() if peer.startswith(NGINX)]
    others = {peer: cost for peer, cost in costs.items() if not peer.startswith(NGINX)}
    return others | ({NGINX: min(nginx)} if nginx else {})


def _own(rows: Sequence[Row | Compared], case: str) -> list[tuple[str, float]]:
    """Headrace's own baselines of a case, with what they cost."""
    ours = [row for row in rows if row.peer == LANE]
    if case == many.WORKERS or case.endswith(many.POPULAR):
        return [(ONE, row.baseline_s) for row in ours if isinstance(row, Compared) and row.case == case]
    if "," not in case:
        return []
    return [(PLAIN, row.cost_s) for row in ours if isinstance(row, Row) and row.case == case.partition(",")[0]]


def report(
    rows: Sequence[Row], compared: Sequence[Compared], peers: Sequence[Peer], parameters: dict[str, Any]
) -> Report:
    """All of it, with what the peers were told and what they ran on."""
    found = ratios(rows) | ratios(compared)
    wanted = targets(found, compared)
    figures = {
        "rows": [row.line() for row in rows],
        "compared": [each.line() for each in compared],
        "targets": [each.line() for each in wanted],
        "host": host(),
        "settings": {peer.title: peer.settings for peer in peers},
    }
    return Report("peers", parameters, figures, found, tuple(each.text for each in wanted if each.missed))


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
        "openssl": ssl.OPENSSL_VERSION.split()[1],
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
