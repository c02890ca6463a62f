"""The record of ratios (issue 8, part 4): what is compared with what, and when it fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import record
from bench.record import Machine, Worse, last_alike, worsened
from bench.report import Report

HERE = {"cpu": "a cpu", "cores": 2}


def _line(**changes: Any) -> dict[str, Any]:
    line = {"part": "store", "parameters": {"objects": 5}, "machine": HERE, "ratios": {"a": 1.0, "b": 2.0}}
    return line | changes


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ({"a": 1.15, "b": 2.0}, []),
        ({"a": 1.16, "b": 2.0}, ["store: a went from 1.000 to 1.160"]),
        ({"a": 0.2, "b": 2.31}, ["store: b went from 2.000 to 2.310"]),
        ({"new": 9.0}, []),
    ],
    ids=["as much as may be", "one worse", "better and worse", "nothing to compare with"],
)
def test_a_ratio_may_worsen_by_15_percent(ratios: dict[str, float], said: list[str]) -> None:
    assert worsened(_line(ratios=ratios), _line()) == said


def test_the_first_of_its_kind_has_nothing_to_be_worse_than() -> None:
    assert worsened(_line(), None) == []


def test_only_like_is_compared_with_like() -> None:
    unlike = [
        _line(part="collapse"),
        _line(parameters={"objects": 6}),
        _line(machine={"cpu": "a cpu", "cores": 4}),
    ]
    assert last_alike(_line(), unlike) is None
    older, newer = _line(ratios={"a": 1.0}), _line(ratios={"a": 2.0})
    assert last_alike(_line(), [older, newer, *unlike]) is newer


def test_a_line_names_machine_date_and_commit_and_stays_when_it_is_worse(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    record.add([Report("store", {"objects": 5}, {"x_ms": 3}, {"a": 1.0}, ("a target",))], file)
    with pytest.raises(Worse, match=r"store: a went from 1.000 to 1.200"):
        record.add([Report("store", {"objects": 5}, {"x_ms": 3}, {"a": 1.2})], file)
    first, second = (json.loads(text) for text in file.read_text().splitlines())
    assert first["machine"] == {"cpu": Machine.this().cpu, "cores": Machine.this().cores}
    assert {"date", "commit", "figures", "failed"} <= set(first)
    assert second["ratios"] == {"a": 1.2}
