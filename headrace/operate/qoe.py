"""headrace qoe: what players saw, by edge, region, network or class of stream."""

from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from headrace.operate.desk import AsJson, At, Desk, TokenFile, Url, show


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("qoe")(qoe)


def qoe(
    by: Annotated[
        Literal["edge", "region", "network", "stream"], typer.Option(help="What the votes are summed by.")
    ] = "edge",
    count: Annotated[int, typer.Option(min=1, max=1000, help="Rows at most, those with most votes first.")] = 100,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """What players told of startup, stalls and bitrate (CMCD); votes fade, so these are the last minutes.

    Example: headrace qoe --by region
    """
    answer = Desk.find(at, control, token_file).get("/qoe", by=by, count=count)
    if as_json:
        show(answer)
        return
    table = Table(by, "votes", "stalled %", "rebuffer ms", "failed %", "startup ms", "kbit/s", "of top %", "score")
    for row in answer["rows"]:
        figures = [_percent(row["stalledShare"]), _whole(row["rebufferMsPerVote"]), _percent(row["failedShare"])]
        figures += [_whole(row["startupMs"]), _whole(row["kbps"]), _percent(row["topShare"])]
        table.add_row(row["name"], f"{row['votes']:,.1f}", *figures, f"{row['score']:.3f}")
    Console().print(table)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f}"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
