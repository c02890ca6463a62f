"""`headrace bench`: measurements of this machine, each beside a baseline of the same call."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from bench.report import Report

bench = typer.Typer(
    help="Measure: eviction, store, collapse, orders, steering, peers; `small` is the first three in their small form.",
    no_args_is_help=True,
)
AsJson = Annotated[bool, typer.Option("--json", help="Only the JSON lines.")]
Record = Annotated[bool, typer.Option("--record", help="Append to bench/results and compare with the last like it.")]
_SMALL = {"titles": 100, "sessions": 3_000}


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(bench, name="bench")


@bench.command("eviction")
def eviction(
    sessions: Annotated[int, typer.Option(min=1, help="Viewers' sessions in the trace.")] = 9_000,
    titles: Annotated[int, typer.Option(min=1, help="Titles on offer.")] = 300,
    seed: Annotated[int, typer.Option(help="Twice the same seed, twice the same trace.")] = 1,
    zipf: Annotated[list[float], typer.Option(help="Skew of popularity; may be given several times.")] = [
        0.8,
        0.9,
        1.0,
    ],
    oracle: Annotated[bool, typer.Option("--oracle", help="With libcachesim's caches beside ours.")] = False,
    svg: Annotated[Path | None, typer.Option(help="File for a chart.")] = None,
    as_json: AsJson = False,
    record_it: Record = False,
) -> None:
    """Byte miss ratio of LRU, SIEVE and admission on a trace of viewers, at 1, 5 and 10 % of its footprint.

    Example: headrace bench eviction --zipf 0.9 --oracle --svg eviction.svg
    """
    from bench import chart
    from bench import eviction as part
    from bench.workload import Workload

    load = Workload(sessions=sessions, titles=titles, seed=seed)
    with _saying(quiet=as_json) as say:
        report = part.eviction(load, tuple(zipf), oracle=oracle, say=say)
    if svg:
        svg.write_text(chart.chart(report.figures["rows"]), encoding="utf-8")
    _tell([report], as_json=as_json, record_it=record_it)


@bench.command("store")
def store(
    objects: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="Objects of the large node.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of latency, few and many in turn.")] = 6,
    memory: Annotated[
        int, typer.Option(min=1, max=2**20, help="MiB of bodies that a node may hold; it bounds what it remembers too.")
    ] = 256,
    as_json: AsJson = False,
    record_it: Record = False,
) -> None:
    """A node with many objects beside one with 1,000: time to ready, memory an object, latency of hits.

    Real files (4 KiB each on most disks) are made in the temporary directory (TMPDIR) and removed afterwards.

    Example: headrace bench store --objects 20000
    """
    import uvloop

    from bench import store as part

    with _saying(quiet=as_json) as say:
        report = uvloop.run(part.store(objects, rounds, say, memory=memory * 2**20))
    _tell([report], as_json=as_json, record_it=record_it)


@bench.command("collapse")
def collapse(
    clients: Annotated[int, typer.Option(min=3, max=18_000, help="Clients that wait for one cold object.")] = 10_000,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Workers of the node.")] = 2,
    as_json: AsJson = False,
    record_it: Record = False,
) -> None:
    """Many clients, one cold object: how often upstream is asked, and how long until all have the last byte.

    Example: headrace bench collapse --clients 500
    """
    import uvloop

    from bench import collapse as part

    with _saying(quiet=as_json) as say:
        report = uvloop.run(part.collapse(clients, workers, say))
    _tell([report], as_json=as_json, record_it=record_it)


@bench.command("orders")
def orders(
    nodes: Annotated[int, typer.Option(min=1, max=500, help="Nodes that follow.")] = 50,
    count: Annotated[int, typer.Option("--orders", min=2, max=400, help="Purges, one after the other.")] = 100,
    as_json: AsJson = False,
    record_it: Record = False,
) -> None:
    """How long a purge takes from its issue until nodes have done it, through control and a redis-server.

    Example: headrace bench orders --nodes 50 --orders 100 --json
    """
    import uvloop

    from bench import orders as part
    from kit import log

    log.setup("bench", level="error")
    with _saying(quiet=as_json) as say:
        report = uvloop.run(part.orders(nodes, count, say))
    _tell([report], as_json=as_json, record_it=record_it)


@bench.command("peers")
def peers(
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of a round.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="Rounds of each peer, in turn; medians count.")] = 3,
    small_form: Annotated[bool, typer.Option("--small", help="Sizes only, one short round: under a minute.")] = False,
    svg: Annotated[Path | None, typer.Option(help="File for a chart.")] = None,
    png: Annotated[Path | None, typer.Option(help="File for it as a picture; Chromium draws it.")] = None,
    as_json: AsJson = False,
    record_it: Record = False,
) -> None:
    """Headrace beside nginx, Varnish and a bare sendfile loop: CPU, latency and memory of the same answers.

    Needs nginx, varnish and wrk; in a checkout they are installed where root may. One core serves, another asks.
    About 11 minutes; objects of some gigabytes are written in the temporary directory (TMPDIR) and removed afterwards.

    Example: headrace bench peers --rounds 5 --svg peers.svg
    """
    from bench.peers import cases, chart, picture, run, table

    _install()
    if png:
        picture.browser()
    asked = cases.sizes() if small_form else [*cases.sizes(), *cases.players(), *cases.encrypted()]
    with _saying(quiet=as_json) as say:
        length, times = (1, 1) if small_form else (seconds, rounds)
        report = run.peers(asked, length, times, beside=not small_form, say=say)
    drawn = chart.chart(report.figures["rows"], report.figures["host"])
    if svg:
        svg.write_text(drawn, encoding="utf-8")
    if png:
        picture.png(drawn, png)
    _tell([report], table.tables(report.figures), as_json=as_json, record_it=record_it)


@bench.command("steering")
def steering(
    seconds: Annotated[float, typer.Option(min=0.5, max=300, help="Length of each of the three stretches.")] = 5.0,
    as_json: AsJson = False,
    record_it: Record = False,
) -> None:
    """One control process: steering answers a second and their p99, heartbeats a second.

    A redis-server of its own is used where one is installed.

    Example: headrace bench steering --json
    """
    import uvloop

    from bench import steering as part

    with _saying(quiet=as_json) as say:
        report = uvloop.run(part.steering(seconds, say))
    _tell([report], as_json=as_json, record_it=record_it)


@bench.command("trace")
def write_trace(
    out: Annotated[Path, typer.Argument(help="CSV file to write: time,object,size.")],
    sessions: Annotated[int, typer.Option(min=1, help="Viewers' sessions.")] = 9_000,
    titles: Annotated[int, typer.Option(min=1, help="Titles on offer.")] = 300,
    seed: Annotated[int, typer.Option(help="Twice the same seed, twice the same trace.")] = 1,
    zipf: Annotated[float, typer.Option(help="Skew of popularity.")] = 0.9,
) -> None:
    """Write the requests of a workload, for other tools.

    Example: headrace bench trace viewers.csv --sessions 1000
    """
    from bench import trace, viewers
    from bench.workload import Workload

    with _saying(quiet=False) as say:
        say("viewers come and go")
        made = viewers.generate(Workload(sessions=sessions, titles=titles, seed=seed, zipf=zipf))
        say(f"writing {len(made):,} requests")
        trace.write(made, out)
    print(f"{out}: {len(made):,} requests for {len(made.sizes):,} objects of {made.footprint:,} bytes")


@bench.command("small")
def small(as_json: AsJson = False) -> None:
    """All parts in their small form, in under 3 minutes; recorded and compared. Exit code 1 where a ratio worsened.

    Example: headrace bench small
    """
    import uvloop

    from bench import collapse, eviction, store
    from bench.workload import Workload

    with _saying(quiet=as_json) as say:
        reports = [
            eviction.eviction(Workload(**_SMALL), say=say),
            uvloop.run(collapse.collapse(500, say=say)),
            uvloop.run(store.store(20_000, 3, say)),
        ]
    _tell(reports, as_json=as_json, record_it=True)


def _install() -> None:
    """What the peers need from Debian, by the script of all chores; where that cannot, say what to install."""
    import subprocess

    from bench.peers.lineup import missing

    if not missing():
        return
    script = Path(__file__).parents[1] / "deploy" / "bootstrap"
    if script.exists():
        subprocess.run(["bash", str(script), "peers"], check=False)
    if absent := missing():
        raise typer.BadParameter(f"please run: apt-get install --no-install-recommends {' '.join(absent)}")


@contextmanager
def _saying(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    with Console(stderr=True, quiet=quiet).status("starting") as status:
        yield lambda text: status.update(text)


def _tell(reports: "list[Report]", tables: list[Table] | None = None, *, as_json: bool, record_it: bool) -> None:
    """Tables to standard error (by default the ratios), lines to standard output, then the record."""
    console = Console(stderr=True, quiet=as_json)
    for report in reports:
        for table in tables or [_ratios(report)]:
            console.print(table, "")
        for text in report.failed:
            console.print(f"[yellow]target missed:[/] {text}", highlight=False)
        print(json.dumps(report.line()))
    sys.stdout.flush()
    if record_it:
        from bench import record

        record.add(reports)


def _ratios(report: "Report") -> Table:
    table = Table("ratio to the baseline", "is", title=report.part)
    for name, ratio in report.ratios.items():
        table.add_row(name, f"{ratio:.3f}")
    return table
