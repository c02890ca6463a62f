"""headrace nodes, drain: who is there, and taking a node out of steering."""

from typing import Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from headrace.operate.desk import AsJson, At, Desk, TokenFile, Url, part, show
from headrace.operate.orders import Wait, followed

nodes = typer.Typer(help="The nodes that control knows: list, show, invite, revoke.", no_args_is_help=True)
Node = Annotated[str, typer.Argument(help="The node's id.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(nodes, name="nodes")
    app.command("drain")(drain)


@nodes.command("list")
def list_(at: At = None, control: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """All nodes with load and state.

    Example: headrace nodes list · headrace nodes list --control http://127.0.0.1:8101 --token-file operator.token
    """
    answer = Desk.find(at, control, token_file).get("/nodes")
    if as_json:
        show(answer)
        return
    ids = Column("node", min_width=max((len(row["id"]) for row in answer["nodes"]), default=0))
    heads = ("state", "role", "region", "load %", "conn.", "Mbit/s", "hits %", "errors %", "age s")
    table = Table(ids, *heads, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for row in answer["nodes"]:
        figures = [f"{row['load']:.1f}", f"{row['connections']:,}", f"{row['egressMbps']:,.1f}"]
        figures += [_percent(row["hitRatio"]), _percent(row["errorRatio"]), f"{row['ageS']:.1f}"]
        table.add_row(row["id"], row["state"], row["role"], row["region"], *figures)
    Console(markup=False).print(table)
    Console(markup=False).print(f"map version {answer['mapVersion']}, kept in {answer['registry']}", highlight=False)


@nodes.command("show")
def show_(
    node: Node, at: At = None, control: Url = None, token_file: TokenFile = None, as_json: AsJson = False
) -> None:
    """One node.

    Example: headrace nodes show edge-west-1 --json
    """
    answer = Desk.find(at, control, token_file).get(f"/nodes/{part(node)}")
    if as_json:
        show(answer)
        return
    table = Table.grid(padding=(0, 2))
    for name, value in answer.items():
        table.add_row(name, str(value))
    Console(markup=False).print(table)


@nodes.command("invite")
def invite(
    node: Node,
    role: Annotated[Literal["edge", "shield", "origin"], typer.Option(help="What it is.")],
    hours: Annotated[float, typer.Option(min=0.01, max=168, help="The token's life.")] = 1.0,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a one-time token with which a node gets its credential (headrace enrol). It is printed once.

    Example: headrace nodes invite edge-paris-1 --role edge
    """
    wanted = {"id": node, "role": role, "lifetimeS": int(hours * 3600)}
    answer = Desk.find(at, control, token_file).act("POST", "/enrolment", wanted)
    if as_json:
        show(answer)
    else:
        print(answer["token"])


@nodes.command("revoke")
def revoke(
    node: Node, at: At = None, control: Url = None, token_file: TokenFile = None, as_json: AsJson = False
) -> None:
    """Refuse a node's credentials within a second and take it out of the map; it may be enrolled anew.

    Example: headrace nodes revoke edge-paris-1
    """
    answer = Desk.find(at, control, token_file).act("POST", f"/nodes/{part(node)}/revoke")
    if as_json:
        show(answer)
    else:
        print(f"refused: {', '.join(answer['names'])}")


def drain(
    node: Node,
    undo: Annotated[bool, typer.Option("--undo", help="Let it take sessions again.")] = False,
    wait_s: Wait = 30.0,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a node take no new session; running ones are steered elsewhere. Exit code 1 when it did not acknowledge.

    Example: headrace drain edge-west-1 · headrace drain edge-west-1 --undo
    """
    desk = Desk.find(at, control, token_file)
    order = desk.act("POST", f"/nodes/{part(node)}/{'undrain' if undo else 'drain'}")
    followed(desk, order["number"], wait_s, as_json=as_json)


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio * 100:.1f}"
