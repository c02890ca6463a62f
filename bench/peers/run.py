"""A call from beginning to end: line up, measure case by case, report."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.peers import report
from bench.peers.cases import Case, Row, Say, measure
from bench.peers.cold import Cold
from bench.peers.compared import Compared
from bench.peers.lineup import lineup
from bench.peers.many import Many
from bench.report import Report

_OBJECTS = (1_000, 100_000)


def peers(cases: Sequence[Case], seconds: int, rounds: int, *, beside: bool, say: Say = lambda _: None) -> Report:
    """Measure `cases`, each round `seconds` long; with `beside` also what has a baseline of its own (many, cold)."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, lineup(Path(folder)) as line:
        say("starting the peers")
        plain = line.standard()
        encrypted = line.encrypted() if any(case.tls for case in cases) else []
        for case in cases:
            rows += measure(case, encrypted if case.tls else plain, seconds, rounds, say)
        many = Many(line, {peer.name: peer for peer in plain}, seconds, rounds, say)
        compared = _beside(many) if beside else []
        everybody = line.everybody
    parameters: dict[str, Any] = {"seconds": seconds, "rounds": rounds, "cases": [case.name for case in cases]}
    parameters |= {"beside": beside, "congestion_control": report.congestion_control()}
    return report.report(rows, compared, everybody, parameters)


def _beside(many: Many) -> list[Compared]:
    """Popular objects last: the directories before are small to walk."""
    measured = Cold(many).measure() + many.workers() + many.miss() + many.slow()
    for objects in _OBJECTS:
        measured += many.popular(objects)
    return measured
