"""headrace steer: why sessions go where they go, and what operators say over it."""

from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from headrace.operate.desk import AsJson, At, Desk, TokenFile, Url, part, show

steer = typer.Typer(help="Steering: explain, overrides, pin, avoid, canary, lift.", no_args_is_help=True)
Edge = Annotated[str, typer.Argument(help="The edge's id.")]
Minutes = Annotated[int, typer.Option(min=1, max=43_200, help="It ends by itself after so many minutes.")]
Title = Annotated[str | None, typer.Option(help="For this title alone.")]
Region = Annotated[str | None, typer.Option(help="For clients of this region alone.")]
Reason = Annotated[str, typer.Option(help="Why, for those who look later.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(steer, name="steer")


@steer.command("explain")
def explain(
    client: Annotated[str, typer.Option(help="The viewer's address.")],
    content: Annotated[str, typer.Option(help="The title's id.")],
    session: Annotated[str, typer.Option(help="The session, where overrides are for a share of them.")] = "",
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Where a session of this viewer and title would go now, and for each edge why or why not.

    Example: headrace steer explain --client 203.0.113.7 --content bbb
    """
    desk = Desk.find(at, control, token_file)
    answer = desk.get("/steering/explain", client=client, content=content, session=session or None)
    if as_json:
        show(answer)
        return
    ids = Column("edge", min_width=max((len(row["id"]) for row in answer["rows"]), default=0))
    heads = ("region", "why", "rank", "load %", "coming", "loses %", "ms", "override")
    table = Table("place", ids, *heads, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for row in answer["rows"]:
        known = f"{row['latencyMs']:.0f}" if row["latencyMs"] is not None else "-"
        figures = [str(row["rank"]), f"{row['load']:.1f}", f"{row['coming']:.1f}", f"{row['loss'] * 100:.1f}", known]
        table.add_row(str(row["place"] or "-"), row["id"], row["region"], row["why"], *figures, row["override"] or "-")
    Console(markup=False).print(table)
    said = f"region {answer['region']}, map version {answer['mapVersion']}"
    Console(markup=False).print(
        f"{said}: nobody can take it ({answer['none']})" if answer["none"] else said, highlight=False
    )


@steer.command("overrides")
def overrides(at: At = None, control: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """The overrides in force.

    Example: headrace steer overrides
    """
    answer = Desk.find(at, control, token_file).get("/steering/overrides")
    _shown(answer["overrides"], answer, as_json=as_json)


@steer.command("pin")
def pin(
    edge: Edge,
    minutes: Minutes,
    title: Title = None,
    region: Region = None,
    reason: Reason = "",
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Put an edge first, as long as it is up and not full.

    Example: headrace steer pin edge-west-1 --minutes 60 --title bbb
    """
    _say(Desk.find(at, control, token_file), "pin", edge, minutes, title, region, 100, reason, as_json=as_json)


@steer.command("avoid")
def avoid(
    edge: Edge,
    minutes: Minutes,
    title: Title = None,
    region: Region = None,
    reason: Reason = "",
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Keep sessions from an edge.

    Example: headrace steer avoid edge-west-1 --minutes 30 --region east --reason "slow disk"
    """
    _say(Desk.find(at, control, token_file), "avoid", edge, minutes, title, region, 100, reason, as_json=as_json)


@steer.command("canary")
def canary(
    edge: Edge,
    minutes: Minutes,
    percent: Annotated[float, typer.Option(min=0, max=100, help="Share of the sessions.")],
    title: Title = None,
    region: Region = None,
    reason: Reason = "",
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Let an edge be a candidate for a share of the sessions only.

    Example: headrace steer canary edge-new --percent 5 --minutes 120
    """
    _say(Desk.find(at, control, token_file), "canary", edge, minutes, title, region, percent, reason, as_json=as_json)


@steer.command("lift")
def lift(
    override: Annotated[str, typer.Argument(help="The override's id.")],
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Lift an override before its end.

    Example: headrace steer lift 1f2e3d4c
    """
    answer = Desk.find(at, control, token_file).act("DELETE", f"/steering/overrides/{part(override)}")
    if as_json:
        show(answer)


def _say(
    desk: Desk,
    kind: str,
    edge: str,
    minutes: int,
    title: str | None,
    region: str | None,
    percent: float,
    reason: str,
    *,
    as_json: bool,
) -> None:
    wanted = {"kind": kind, "edge": edge, "lifetimeS": minutes * 60, "title": title, "region": region}
    answer = desk.act("POST", "/steering/overrides", {**wanted, "percent": percent, "reason": reason})
    _shown([answer], answer, as_json=as_json)


def _shown(rows: list[dict[str, Any]], answer: Any, *, as_json: bool) -> None:
    if as_json:
        show(answer)
        return
    table = Table("id", "what", "edge", "title", "region", "%", "until", "by", "reason")
    for row in rows:
        scope = [row["title"] or "all", row["region"] or "all", f"{row['percent']:g}", f"{row['until']:.0f}"]
        table.add_row(row["id"], row["kind"], row["edge"], *scope, row["by"], row["reason"])
    Console(markup=False).print(table)
