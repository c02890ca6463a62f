"""What is made of the peers' rounds: medians, costs over the better nginx, missed targets (issue 4, part 6)."""

import contextlib
import io
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from rich.console import Console

from bench.peers import cold, load, many, picture
from bench.peers.cases import Row
from bench.peers.chart import WIDTH, chart
from bench.peers.compared import Compared, in_turn
from bench.peers.lineup import AIOHTTP, BARE, LANE, VARNISH
from bench.peers.load import Round
from bench.peers.mix import Client, drive
from bench.peers.paced import pace
from bench.peers.processes import Memory, Peer
from bench.peers.report import ratios
from bench.peers.table import tables
from bench.peers.targets import targets
from kit.errors import SettingsError

NGINX_ON, NGINX_OFF = "nginx nopush on", "nginx nopush off"
MEMORY = Memory(5_000_000, 9_000_000)


def row(case: str, peer: str, *costs_us: float) -> Row:
    """A peer's rounds of 1,000 requests in a second."""
    rounds = tuple(Round(1_000, cost / 1e3, 1.0, 0.001, 0.002) for cost in costs_us)
    return Row(case, peer, rounds, 2_048, MEMORY)


def failed(found: dict[str, float], compared: Sequence[Compared] = ()) -> tuple[str, ...]:
    """The targets that are missed, in words."""
    return tuple(each.text for each in targets(found, compared) if each.missed)


def test_the_median_round_counts_and_the_better_nginx() -> None:
    rows = [
        row("2 KB", LANE, 10, 12, 90),
        row("2 KB", AIOHTTP, 48),
        row("2 KB", NGINX_ON, 20),
        row("2 KB", NGINX_OFF, 10),
    ]
    assert ratios(rows) == pytest.approx({"2 KB / headrace without lane": 0.25, "2 KB / nginx": 1.2})
    assert failed(ratios(rows)) == ("2 KB / nginx: 1.20 times the CPU a request, at most 1.00 wanted",)


def test_a_range_is_compared_with_the_plain_hit() -> None:
    rows = [row("2 KB", LANE, 10), row("2 KB, Range: bytes=0-", LANE, 12.5), row("2 KB, 1,000 connections", LANE, 30)]
    found = ratios(rows)
    assert found == pytest.approx({"2 KB, Range: bytes=0- / plain": 1.25, "2 KB, 1,000 connections / plain": 3.0})
    assert failed(found) == ("2 KB, Range: bytes=0- / plain: 1.25 times the CPU a request, at most 1.20 wanted",)


def test_what_meets_its_target_is_not_told_as_missed() -> None:
    rows = [row("1 MiB", LANE, 110), row("1 MiB", BARE, 100), row("1 MiB", NGINX_ON, 220)]
    assert failed(ratios(rows)) == ()


def test_a_line_has_the_figures_of_the_issue() -> None:
    line = row("2 KB", LANE, 10, 20, 12).line()
    assert line["requests_a_cpu_s"] == 83_333
    assert line["cpu_us"] == 12.0
    assert line["cpu_s_a_gb"] == pytest.approx(5.859)
    assert (line["p50_ms"], line["p99_ms"], line["pss_mb"], line["rss_mb"]) == (1.0, 2.0, 5.0, 9.0)


def rounds(cost_us: float, p50_ms: float = 0.1, p99_ms: float = 1.0) -> list[Round]:
    """One of 1,000 requests."""
    return [Round(1_000, cost_us / 1e3, 1.0, p50_ms / 1e3, p99_ms / 1e3)]


def compared(case: str, peer: str, these: list[Round], baseline: list[Round]) -> Compared:
    """Of a peer without a process."""
    return Compared(case, peer, these, baseline, MEMORY)


def test_what_headrace_misses_beside_its_own_baseline_is_told() -> None:
    popular = f"100 objects, {many.POPULAR}"
    lines = [
        compared(many.WORKERS, LANE, rounds(11), rounds(10)),
        compared(popular, LANE, rounds(12), rounds(10)),
        compared(popular, NGINX_OFF, rounds(16), rounds(10)),
        compared(many.MISS, LANE, rounds(900, 1.7), rounds(50, 0.1)),
        compared(many.MISS, VARNISH, rounds(300, 9.9), rounds(50, 0.1)),
        compared(many.SLOW, LANE, rounds(20, p99_ms=6.0), rounds(20)),
    ]
    found = ratios(lines)
    assert found == pytest.approx(
        {
            f"{many.WORKERS} / one": 1.1,
            f"{popular} / nginx": 0.75,
            f"{popular} / one": 1.2,
            f"{many.MISS} / varnish": 3.0,
        }
    )
    assert failed(found, lines) == (
        "100 objects, zipf 0.9 / one: 1.20 times the CPU a request, at most 1.11 wanted",
        "a miss / added at p50: 1.60 ms, at most 1.5 ms wanted",
        "slow viewers / p99 of a quick one: 6.00 ms, at most 5 ms wanted",
    )


def test_an_answer_under_tls_is_compared_with_the_plain_one_and_has_no_target() -> None:
    found = ratios([row("2 KB", LANE, 10), row("2 KB, TLS", LANE, 15), row("2 KB, TLS", NGINX_ON, 10)])
    assert found == pytest.approx({"2 KB, TLS / nginx": 1.5, "2 KB, TLS / plain": 1.5})
    assert failed(found) == ()


def test_everybody_has_a_turn_and_its_baseline_behind_it() -> None:
    """Of processes only the memory is asked: ours will do."""
    turns: list[str] = []

    def load(name: str) -> Callable[[], Round]:
        return lambda: turns.append(name) or rounds(len(turns))[0]

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        peers = [Peer(name, 0, "", process, "") for name in ("a", "b")]
        lines = in_turn("case", [(each, load(each.name), load(f"{each.name} baseline")) for each in peers], 2)
        process.communicate(b"\n")
    assert turns == ["a", "a baseline", "b", "b baseline"] * 2
    assert [round(each.cost_s * 1e6, 6) for each in lines] == [3.0, 5.0]
    assert [round(each.baseline_s * 1e6, 6) for each in lines] == [4.0, 6.0]
    assert 0 < lines[0].memory.pss <= lines[0].memory.rss


def shown(figures: dict[str, Any]) -> str:
    """The tables as an 80 columns wide terminal has them."""
    console = Console(width=80, file=io.StringIO())
    for each in tables(figures):
        console.print(each)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_has_a_line_a_case_our_ratio_and_a_mark() -> None:
    """Within 80 columns, nothing cut; nginx's cheaper setting stands for it in every table."""
    name = "64 KB, 1,000 connections"
    rows = [
        row("2 KB", LANE, 12),
        row("2 KB", NGINX_ON, 20),
        row("2 KB", NGINX_OFF, 10),
        row(name, LANE, 30),
        row(name, AIOHTTP, 3_500),
        row(name, NGINX_OFF, 40),
    ]
    popular = f"100,000 objects, {many.POPULAR}"
    lines = [
        compared(cold.PAGES, LANE, rounds(1_400), rounds(350)),
        compared(cold.PAGES, "nginx aio threads", rounds(700, 123.4, 1_234.5), rounds(350, p99_ms=1_234.5)),
        compared(popular, LANE, rounds(20), rounds(10)),
    ]
    wanted = targets(ratios(rows) | ratios(lines), lines)
    text = shown(
        {
            "rows": [each.line() for each in rows],
            "compared": [each.line() for each in lines],
            "targets": [each.line() for each in wanted],
        }
    )
    of = [each.split() for each in text.splitlines()]
    assert ["2", "KB", "12.0", "-", "10.0", "-", "-", "1.20", "1.00", "!"] in of
    assert ["64", "KB,", "1,000", "connections", "30.0", "3,500", "40.0", "-", "-", "0.75", "-"] in of
    assert ["1", "MiB,", "cold", "pages", "headrace", "1,400", "2.00", "4.00", "0.10", "1.00", "1.00"] in of
    assert ["nginx", "aio", "700.0", "2.00", "123.4", "1,234", "1,234"] in of
    assert [*popular.split(), "headrace", "20.0", "-", "2.00", "0.10", "1.00", "1.00", "!"] in of
    assert "…" not in text
    assert ["nginx", "nopush", "off", "5.00", "9.00"] in of


def test_what_is_popular_is_drawn_most_and_everything_may_be() -> None:
    drawn = Counter(many.drawn(1_000))
    most = [count for _, count in drawn.most_common()]
    assert sum(most[:10]) > 0.2 * sum(most)
    assert len(most) > 900


HOST = {"date": "2026-11-21", "cpu": "2 x a cpu", "nginx": "1.22.1", "varnish": "7.1.1"}


def test_the_chart_has_a_bar_a_peer_with_its_ratio_and_leaves_other_cases_out() -> None:
    rows = [
        row("2 KB", LANE, 10),
        row("2 KB", AIOHTTP, 90),
        row("2 KB", BARE, 5),
        row("2 KB", NGINX_ON, 30),
        row("2 KB", NGINX_OFF, 20),
        row("2 KB, If-None-Match", LANE, 9),
    ]
    text = chart([each.line() for each in rows], HOST)
    assert text.count('height="19"') == 3
    assert all(figure in text for figure in (">10.0 (0.50)<", ">20.0 (1.00)<", ">5.0 (0.25)<"))
    assert "If-None-Match" not in text
    assert f'width="{WIDTH}"' in text


def test_a_picture_without_a_browser_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "_BROWSERS", ("no-such-browser",))
    with pytest.raises(SettingsError, match="apt-get install chromium"):
        picture.browser()


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


def test_what_is_due_waits_for_a_free_connection_and_its_wait_counts() -> None:
    """No coordinated omission: at a million a second all are due at once, and the last one has waited for all."""
    with server() as port, contextlib.closing(Client(port)) as client:
        took = pace([client], [b"GET /one HTTP/1.1\r\n\r\n"] * 50, 1e6)
    assert len(took) == 50
    assert list(took) == sorted(took)


@pytest.mark.parametrize(("said", "seconds"), [("  1.23ms", 0.00123), ("  2.05s ", 2.05), ("900.00us", 0.0009)])
def test_latencies_are_read_as_wrk_pads_them(said: str, seconds: float) -> None:
    text = f"  Latency Distribution\n     50%    1.00us\n     99%  {said}\n"
    assert load.latency(text, 99) == pytest.approx(seconds)
