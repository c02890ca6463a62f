"""Counters in shared memory and their Prometheus text (OBS-07; kit.metrics)."""

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kit.metrics import Board, Family
from kit.usage import Rate, cpu_seconds, disk_busy_seconds

FAMILIES = (
    Family("t_requests_total", "Requests", label="how", values=("hit", "miss")),
    Family("t_open", "Open now", "gauge"),
)


def test_rows_add_up_and_gauges_are_set() -> None:
    board = Board(FAMILIES, 2)
    one, two = board.row(0), board.row(1)
    one.add("t_requests_total", "hit")
    two.add("t_requests_total", "hit", amount=4)
    two.cells[two.column("t_requests_total", "miss")] += 1
    one.set("t_open", 3)
    two.set("t_open", 4)
    two.set("t_open", 1)
    assert [board.total("t_requests_total", how) for how in ("hit", "miss")] == [5, 1]
    assert board.total("t_open") == 4
    board.close()


def test_two_boards_over_one_descriptor_see_the_same() -> None:
    board = Board(FAMILIES, 1)
    other = Board(FAMILIES, 1, fd=os.dup(board.fd))
    other.row(0).add("t_open")
    assert board.total("t_open") == 1
    other.close()
    board.close()


def test_nobody_can_make_a_new_series() -> None:
    board = Board(FAMILIES, 1)
    row = board.row(0)
    with pytest.raises(KeyError):
        row.add("t_requests_total", "other")
    with pytest.raises(KeyError):
        row.column("t_unknown")
    board.close()


def test_the_text_is_what_a_prometheus_parser_reads() -> None:
    board = Board(FAMILIES, 1)
    board.row(0).add("t_requests_total", "miss", amount=7)
    families = {each.name: each for each in text_string_to_metric_families(board.render(node="e1"))}
    samples = {tuple(sample.labels.items()): sample.value for sample in families["t_requests"].samples}
    assert samples == {(("node", "e1"), ("how", "hit")): 0, (("node", "e1"), ("how", "miss")): 7}
    assert families["t_open"].type == "gauge"
    board.close()


def test_a_closed_board_refuses_its_rows() -> None:
    board = Board(FAMILIES, 1)
    row = board.row(0)
    board.close()
    with pytest.raises(ValueError, match="released"):
        row.add("t_open")


def test_a_rate_is_growth_per_second_and_never_negative() -> None:
    """kit.usage: the first reading has nothing to compare with, a process that went takes its seconds along."""
    rate = Rate()
    assert [rate.per_second(*each) for each in ((10, 1), (20, 3), (5, 4), (8, 4), (9, 5))] == [0, 5, 0, 0, 1]


def test_readings_of_this_machine() -> None:
    """A process's CPU seconds grow with work; one that is gone, and a file system without a device, count nothing."""
    before = cpu_seconds([os.getpid()])
    while cpu_seconds([os.getpid()]) == before:
        sum(range(10_000))
    assert cpu_seconds([2**22 + 1]) == 0
    assert disk_busy_seconds(Path("/proc")) == 0
    assert disk_busy_seconds(Path("/not/there")) == 0


def test_a_reader_gives_the_total_of_all_rows_now() -> None:
    board = Board([Family("a", "A", label="kind", values=("x", "y"))], rows=3)
    read = board.reader("a", "y")
    for number in range(3):
        board.row(number).add("a", "y", number + 1)
        board.row(number).add("a", "x")
    assert read() == board.total("a", "y") == 6
    board.row(1).add("a", "y")
    assert read() == 7


def test_overall_is_every_process_and_every_value() -> None:
    board = Board([Family("a", "A", label="kind", values=("x", "y")), Family("b", "B")], rows=2)
    for number in range(2):
        board.row(number).add("a", "x", 2)
        board.row(number).add("a", "y", 3)
        board.row(number).add("b", amount=100)
    assert (board.overall("a"), board.overall("b")) == (10, 200)


def test_one_count_of_a_family_that_stands_for_others_is_seen_in_each_of_them() -> None:
    many = Family(
        "h_many",
        "not shown",
        label="kind",
        values=("x",),
        stands_for={"x": (("h_all", ""), ("h_kinds", "x"))},
    )
    with_kinds = Family("h_kinds", "K", label="kind", values=("x", "y"))
    board = Board([Family("h_all", "A"), with_kinds, many], rows=2)
    board.row(0).add("h_all", amount=5)
    board.row(1).add("h_many", "x", 2)
    board.row(0).add("h_kinds", "y", 3)
    assert (board.total("h_all"), board.total("h_kinds", "x"), board.overall("h_kinds")) == (7, 2, 5)
    text = board.render()
    assert 'h_kinds{kind="x"} 2' in text
    assert "h_many" not in text
    with pytest.raises(ValueError, match=r"too many values"):
        board.reader("h_all")
