"""A call from beginning to end: line up, measure case by case, report."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.peers import many, report
from bench.peers.cases import Case, Row, Say, measure
from bench.peers.lineup import LANE, LineUp, lineup
from bench.peers.many import Compared, Many
from bench.peers.processes import Peer
from bench.report import Report

_OBJECTS = (1_000, 100_000)


def peers(cases: Sequence[Case], seconds: int, rounds: int, *, alone: bool, say: Say = lambda _: None) -> Report:
    """Measure `cases`, each round `seconds` long; with `alone` also what only Headrace is asked (many)."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, lineup(Path(folder)) as line:
        say("starting the peers")
        everybody = line.standard()
        for case in cases:
            rows += measure(case, everybody, seconds, rounds, say)
        compared, memory = _alone(line, Path(folder), everybody, seconds, rounds, say) if alone else ({}, {})
    parameters: dict[str, Any] = {"seconds": seconds, "rounds": rounds, "cases": [case.name for case in cases]}
    parameters |= {"alone": alone, "congestion_control": report.congestion_control()}
    return report.report(rows, everybody, parameters, compared, memory)


def _alone(
    line: LineUp, root: Path, everybody: Sequence[Peer], seconds: int, rounds: int, say: Say
) -> tuple[dict[str, Compared], dict[str, int]]:
    """What many compares, by name, and the memory of nodes with many objects."""
    edge = next(peer for peer in everybody if peer.name == LANE)
    much = Many(line, root, seconds, rounds, say)
    compared = {many.WORKERS: much.workers(edge), many.MISS: much.miss(edge), many.SLOW: much.slow(edge)}
    memory = {}
    for objects in _OBJECTS:
        name = f"{objects:,} objects, {many.POPULAR}"
        compared[name], memory[name] = much.popular(objects)
    return compared, memory
