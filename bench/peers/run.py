"""A call from beginning to end: line up, measure case by case, report."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.peers.cases import Case, Row, Say, measure
from bench.peers.lineup import lineup
from bench.peers.report import report
from bench.report import Report


def peers(cases: Sequence[Case], seconds: int, rounds: int, say: Say = lambda _: None) -> Report:
    """Measure `cases`, each round `seconds` long."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, lineup(Path(folder)) as line:
        say("starting the peers")
        all_peers = line.standard()
        for case in cases:
            rows += measure(case, all_peers, seconds, rounds, say)
        parameters = {"seconds": seconds, "rounds": rounds, "cases": [case.name for case in cases]}
        return report(rows, all_peers, parameters)
