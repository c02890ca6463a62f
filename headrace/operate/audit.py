"""headrace audit, operators: what was done, and by whose token."""

import sys
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from control.admin.trail import Entry, broken
from headrace.operate.desk import AsJson, At, Desk, TokenFile, Url, part, show

PAGE = 1000
operators = typer.Typer(help="API tokens of operators: list, make, remove.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("audit")(audit)
    app.add_typer(operators, name="operators")


def audit(
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Entries at most, newest first.")] = 50,
    verify: Annotated[bool, typer.Option("--verify", help="Check the whole chain; exit code 1 if broken.")] = False,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Who did what, when, with what outcome; refused calls too.

    Example: headrace audit --count 20 · headrace audit --verify
    """
    desk = Desk.find(at, control, token_file)
    entries = _entries(desk, sys.maxsize if verify else count)
    if verify:
        _verified(entries)
        return
    if as_json:
        show({"entries": entries})
        return
    table = Table("seq", "when", "who", "action", "target", "outcome", "status", "detail")
    for each in entries:
        said = [each["target"], f"{each['outcome']} {each['reason']}".strip(), str(each["status"]), each["detail"]]
        table.add_row(str(each["seq"]), each["at"], each["actorName"], each["action"], *said)
    Console(markup=False).print(table)


def _verified(entries: list[dict[str, Any]]) -> None:
    wrong = broken([Entry.model_validate(each, strict=False) for each in reversed(entries)])
    show({"ok": wrong is None, "entries": len(entries), "broken": wrong})
    if wrong is not None:
        sys.exit(1)


def _entries(desk: Desk, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    before: int | None = None
    while len(found) < count:
        page = desk.get("/audit", count=min(PAGE, count - len(found)), before=before)
        found += page["entries"]
        before = page["next"]
        if before is None:
            break
    return found


@operators.command("list")
def list_(at: At = None, control: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """All API tokens, without their secrets.

    Example: headrace operators list
    """
    answer = Desk.find(at, control, token_file).get("/tokens")
    if as_json:
        show(answer)
        return
    table = Table("id", "name", "role", "areas", "expires", "by")
    for row in answer["tokens"]:
        end = f"{row['expires']} (over)" if row["expired"] else row["expires"]
        table.add_row(row["id"], row["name"], row["role"], " ".join(row["areas"]) or "all", end, row["createdBy"])
    Console(markup=False).print(table)


@operators.command("make")
def make(
    name: Annotated[str, typer.Argument(help="Whose it is or what it is for.")],
    role: Annotated[Literal["viewer", "operator", "admin"], typer.Option(help="What it may do.")],
    area: Annotated[list[str] | None, typer.Option(help="Held to this part of the API; repeat it for several.")] = None,
    days: Annotated[float, typer.Option(min=0.001, max=365, help="Its life.")] = 30,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Make an API token. Its text is printed once, and kept nowhere.

    Example: headrace operators make deploy-bot --role operator --area orders --days 90
    """
    wanted = {"name": name, "role": role, "areas": area or [], "lifetimeS": int(days * 86_400)}
    answer = Desk.find(at, control, token_file).act("POST", "/tokens", wanted)
    if as_json:
        show(answer)
    else:
        print(answer["token"])


@operators.command("remove")
def remove(
    token: Annotated[str, typer.Argument(help="The token's id.")],
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove an API token; it is refused everywhere within a second.

    Example: headrace operators remove 0123456789ab
    """
    answer = Desk.find(at, control, token_file).act("DELETE", f"/tokens/{part(token)}")
    if as_json:
        show(answer)
