"""headrace purge, prefetch, orders: what nodes are told to do, and how far they are."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headrace.cache import purge_node
from headrace.operate.desk import AsJson, At, Desk, TokenFile, Url, show
from kit.errors import SettingsError

ASK_S = 0.2
Wait = Annotated[float, typer.Option(min=0, max=3600, help="Seconds to wait for the nodes; 0: do not wait.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("purge")(purge)
    app.command("prefetch")(prefetch)
    app.command("orders")(orders)


def purge(
    url: Annotated[str | None, typer.Option(help="A path with its query, as it is asked upstream.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Everything whose path begins so.")] = None,
    tag: Annotated[str | None, typer.Option(help="Everything that carries this tag.")] = None,
    soft: Annotated[bool, typer.Option("--soft", help="Make stale instead of removing.")] = False,
    node: Annotated[
        str | None, typer.Option(help="One node alone, by its own admin address, as http://127.0.0.1:9301.")
    ] = None,
    wait_s: Wait = 30.0,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Purge by URL, prefix or tag: on every shield and edge through control, or with --node on one node directly.

    Exit code 1 when a node failed or did not acknowledge in time; it will when it is back. With --node one JSON line
    says what was removed.

    Example: headrace purge --tag title:film --soft · headrace purge --prefix /content/film/ --node
    http://127.0.0.1:9301 --token-file operator.token
    """
    named = {name: text for name, text in (("url", url), ("prefix", prefix), ("tag", tag)) if text is not None}
    if len(named) != 1:
        raise SettingsError("give exactly one of --url, --prefix, --tag")
    if node is not None:
        purge_node(node, _token_file(token_file), {**named, "soft": soft})
        return
    desk = Desk.find(at, control, token_file)
    order = desk.act("POST", "/purge", {**named, "soft": soft})
    followed(desk, order["number"], wait_s, as_json=as_json)


def prefetch(
    paths: Annotated[list[str], typer.Argument(help="Paths with their queries, as they are asked upstream.")],
    node: Annotated[list[str] | None, typer.Option(help="On these nodes; repeat it for several.")] = None,
    region: Annotated[str | None, typer.Option(help="On the edges of this region.")] = None,
    wait_s: Wait = 30.0,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Have nodes store these paths before viewers come. Exit code 1 when a node failed or is not done in time.

    Example: headrace prefetch /content/film/1/v/360/1.m4s --region west
    """
    desk = Desk.find(at, control, token_file)
    wanted: dict[str, Any] = {"paths": paths, "nodes": node or []}
    order = desk.act("POST", "/prefetch", wanted | ({"region": region} if region else {}))
    followed(desk, order["number"], wait_s, as_json=as_json)


def orders(
    number: Annotated[int | None, typer.Argument(help="One order; default: the newest.")] = None,
    count: Annotated[int, typer.Option(min=1, max=500, help="Orders at most.")] = 20,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """The newest orders and how far they are, or one of them.

    Example: headrace orders · headrace orders 17 --json
    """
    desk = Desk.find(at, control, token_file)
    answer = desk.get(f"/orders/{number}") if number else desk.get("/orders", count=count)
    if as_json:
        show(answer)
    else:
        Console(markup=False).print(_table([answer] if number else answer["orders"]))


def followed(desk: Desk, number: int, wait_s: float, *, as_json: bool) -> None:
    """Wait for an order, tell how far it got; exit code 1 unless every node has done it."""
    status = asyncio.run(_follow(desk, number, wait_s))
    if as_json:
        show(status)
    else:
        Console(markup=False).print(_table([status]))
    if wait_s and (status["failed"] or status["waiting"]):
        sys.exit(1)


async def _follow(desk: Desk, number: int, wait_s: float) -> Any:
    end = asyncio.get_running_loop().time() + wait_s
    while True:
        status = await desk.call("GET", f"/orders/{number}")
        done = status["stage"] == "edges" and not status["waiting"]
        if done or asyncio.get_running_loop().time() >= end:
            return status
        await asyncio.sleep(ASK_S)


def _table(statuses: list[dict[str, Any]]) -> Table:
    table = Table("order", "what", "by", "told", "done", "failed", "waiting", "slowest", "not yet")
    for each in statuses:
        order, slowest = each["order"], each["slowest"]
        said = {name: value for name, value in order["command"].items() if value not in (False, None, [])}
        counts = [str(each[name]) for name in ("done", "failed", "waiting")]
        last = f"{slowest['node']} {slowest['seconds']:.2f} s" if slowest else "-"
        what = " ".join(value if isinstance(value, str) else json.dumps(value) for value in said.values())
        table.add_row(str(order["number"]), what, each["by"], each["stage"], *counts, last, " ".join(each["missing"]))
    return table


def _token_file(file: Path | None) -> Path:
    if file is None:
        raise SettingsError("--node goes with --token-file")
    return file
