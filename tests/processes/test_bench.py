"""Each part of the bench once, small, with real nodes: facts, never times."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.node import Setting, running
from bench.stock import body_of, path_of, stocked
from bench.store import store
from proxy.store import disk

pytestmark = pytest.mark.processes


def _bench(*arguments: str) -> dict:
    command = [sys.executable, "-m", "headrace.main", "bench", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def test_all_clients_get_the_same_bytes_from_at_most_a_request_a_worker() -> None:
    line = _bench("collapse", "--clients", "60", "--workers", "2")
    assert line["figures"]["all_equal"] is True
    assert 1 <= line["figures"]["upstream_requests"] <= 2
    assert line["figures"]["upstream_requests_when_stored"] == 0
    assert bool(line["failed"]) is (line["figures"]["upstream_requests"] != 1)


def test_a_stocked_directory_is_what_a_node_would_have_written(tmp_path: Path) -> None:
    """A node that starts on it knows all objects and serves them without asking its origin."""
    directory = tmp_path / "cache"
    assert [*stocked(directory, 1_500)][-1] == 1_500
    found = disk.find(directory, "bench" + path_of(1_234))
    assert found is not None
    assert disk.read_whole(found) == body_of(1_234)
    with running(Setting(directory, "http://127.0.0.1:9", objects=3_000)) as node:
        node.loaded()
        assert node.metric("headrace_store_objects") == 1_500
        memory = node.memory()
        assert 0 < memory.private < memory.pss


def test_store_reports_every_figure_of_the_issue() -> None:
    line = asyncio.run(store(1_000, 1, starts=1)).line()
    figures = line["figures"]
    assert set(figures["ready_s"]) == {"empty", "few", "restarted", "killed"}
    assert all(seconds > 0 for seconds in figures["ready_s"].values())
    assert {"memory_hit_p50", "memory_hit_p99", "disk_hit_p50", "disk_hit_p99"} <= set(figures)
    assert {"pss_bytes_an_object", "private_bytes_an_object_a_worker"} <= set(figures)
    assert set(line["ratios"]) == {
        "ready_restarted_over_empty",
        "ready_killed_over_empty",
        "pss_over_empty",
        "memory_hit_p50",
        "disk_hit_p50",
    }


def test_steering_reports_what_scripts_read() -> None:
    """contracts.md: answers_per_s, p99_ms; a whole control process, polled and told of by nodes."""
    line = _bench("steering", "--seconds", "0.5")
    assert line["answers_per_s"] == line["figures"]["answers_per_s"] > 0
    assert line["p99_ms"] == line["figures"]["p99_ms"] > 0
    assert line["figures"]["heartbeats_per_s"] > 0
    assert line["figures"]["answer_cpu_us"] > 0
