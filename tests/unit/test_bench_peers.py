"""What is made of the peers' rounds: medians, costs over the better nginx, missed targets (issue 4, part 6)."""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from bench.peers import load, many
from bench.peers.cases import Row
from bench.peers.chart import chart
from bench.peers.lineup import AIOHTTP, BARE, LANE
from bench.peers.load import Round
from bench.peers.many import Compared
from bench.peers.mix import Client, drive
from bench.peers.report import failed, failed_alone, ratios


def row(case: str, peer: str, *costs_us: float) -> Row:
    """A peer's rounds of 1,000 requests in a second."""
    rounds = tuple(Round(1_000, cost / 1e3, 1.0, 0.001, 0.002) for cost in costs_us)
    return Row(case, peer, rounds, 2_048, 5_000_000)


def test_the_median_round_counts_and_the_better_nginx() -> None:
    rows = [
        row("2 KB", LANE, 10, 12, 90),
        row("2 KB", AIOHTTP, 48),
        row("2 KB", "nginx nopush on", 20),
        row("2 KB", "nginx nopush off", 10),
    ]
    assert ratios(rows) == pytest.approx({"2 KB / headrace without lane": 0.25, "2 KB / nginx": 1.2})
    assert failed(ratios(rows)) == ("2 KB / nginx: 1.20 times the CPU a request, at most 1.00 wanted",)


def test_a_range_is_compared_with_the_plain_hit() -> None:
    rows = [row("2 KB", LANE, 10), row("2 KB, Range: bytes=0-", LANE, 12.5), row("2 KB, 1,000 connections", LANE, 30)]
    found = ratios(rows)
    assert found == pytest.approx({"2 KB, Range: bytes=0- / plain": 1.25, "2 KB, 1,000 connections / plain": 3.0})
    assert failed(found) == ("2 KB, Range: bytes=0- / plain: 1.25 times the CPU a request, at most 1.20 wanted",)


def test_what_meets_its_target_is_not_told_as_missed() -> None:
    rows = [row("1 MiB", LANE, 110), row("1 MiB", BARE, 100), row("1 MiB", "nginx nopush on", 220)]
    assert failed(ratios(rows)) == ()


def test_a_line_has_the_figures_of_the_issue() -> None:
    line = row("2 KB", LANE, 10, 20, 12).line()
    assert line["requests_a_cpu_s"] == 83_333
    assert line["cpu_us"] == 12.0
    assert line["cpu_s_a_gb"] == pytest.approx(5.859)
    assert (line["p50_ms"], line["p99_ms"], line["pss_mb"]) == (1.0, 2.0, 5.0)


def rounds(cost_us: float, p50_ms: float = 0.1, p99_ms: float = 1.0) -> list[Round]:
    """One of 1,000 requests."""
    return [Round(1_000, cost_us / 1e3, 1.0, p50_ms / 1e3, p99_ms / 1e3)]


def test_what_headrace_misses_alone_is_told() -> None:
    compared = {
        many.WORKERS: Compared(rounds(11), rounds(10)),
        f"100 objects, {many.POPULAR}": Compared(rounds(12), rounds(10)),
        many.MISS: Compared(rounds(900, 1.7), rounds(50, 0.1)),
        many.SLOW: Compared(rounds(20, p99_ms=6.0), rounds(20)),
    }
    assert failed_alone(compared) == (
        "100 objects, zipf 0.9: 1.20 times the CPU a request of one, at most 1.11 wanted",
        "a miss adds 1.60 ms at p50, at most 1.5 ms wanted",
        "slow viewers: p99 of a quick one 6.00 ms, less than 5 ms wanted",
    )


def test_what_is_popular_is_drawn_most_and_everything_may_be() -> None:
    drawn = Counter(many.drawn(1_000))
    most = [count for _, count in drawn.most_common()]
    assert sum(most[:10]) > 0.2 * sum(most)
    assert len(most) > 900


def test_the_chart_has_a_bar_a_peer_and_leaves_other_cases_out() -> None:
    rows = [row("2 KB", LANE, 10), row("2 KB", BARE, 5), row("2 KB, If-None-Match", LANE, 9)]
    text = chart([each.line() for each in rows])
    assert text.count('height="14"') == 2
    assert "If-None-Match" not in text


@contextlib.contextmanager
def server() -> Iterator[int]:
    """Answers every request of one connection, the body in two pieces; /bad is a 404."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        viewer, _ = listener.accept()
        with viewer, contextlib.suppress(ConnectionError):
            while asked := viewer.recv(65_536):
                status = b"404 Not Found" if b"/bad" in asked else b"200 OK"
                viewer.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 6\r\n\r\nabc")
                viewer.sendall(b"def")

    serving = threading.Thread(target=serve)
    serving.start()
    with listener:
        yield listener.getsockname()[1]
        serving.join(10)


def test_the_mix_counts_whole_answers() -> None:
    asked = iter([b"GET /one HTTP/1.1\r\n\r\n"] * 1_000_000)
    with server() as port, contextlib.closing(Client(port)) as client:
        count, took = drive([client], asked, 0.05)
    assert count == len(took) > 0
    assert all(each > 0 for each in took)


def test_once_is_once() -> None:
    asked = iter([b"GET /one HTTP/1.1\r\n\r\n"] * 7)
    with server() as port, contextlib.closing(Client(port)) as client:
        count, _ = drive([client], asked, 60.0)
    assert count == 7


def test_the_mix_takes_nothing_but_a_200() -> None:
    asked = iter([b"GET /bad HTTP/1.1\r\n\r\n"] * 9)
    with server() as port, contextlib.closing(Client(port)) as client, pytest.raises(ConnectionError, match="404"):
        drive([client], asked, 5.0)


@pytest.mark.parametrize(("said", "seconds"), [("  1.23ms", 0.00123), ("  2.05s ", 2.05), ("900.00us", 0.0009)])
def test_latencies_are_read_as_wrk_pads_them(said: str, seconds: float) -> None:
    text = f"  Latency Distribution\n     50%    1.00us\n     99%  {said}\n"
    assert load.latency(text, 99) == pytest.approx(seconds)
