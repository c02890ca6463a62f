"""headrace rollout: settings for the fleet, tried on a few nodes first."""

import json
import sys
import time
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headrace.operate.desk import AsJson, At, Desk, TokenFile, Url, show
from kit.errors import SettingsError

rollout = typer.Typer(help="Rollouts: list, show, diff, stage, canary, activate, back.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(help="The version's number.")]
ASK_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(rollout, name="rollout")


@rollout.command("list")
def list_(at: At = None, control: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """Where rollouts stand, and what happened.

    Example: headrace rollout list
    """
    _standing(Desk.find(at, control, token_file).get("/rollout"), as_json=as_json)


@rollout.command("show")
def show_(number: Number, at: At = None, control: Url = None, token_file: TokenFile = None) -> None:
    """All that a version says, as JSON.

    Example: headrace rollout show 3
    """
    show(Desk.find(at, control, token_file).get(f"/rollout/versions/{number}"))


@rollout.command("diff")
def diff(
    number: Number,
    against: Annotated[int, typer.Option(min=0, help="The other version; 0: the nodes' own settings.")] = 0,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """What a version says otherwise than another.

    Example: headrace rollout diff 4 --against 3
    """
    answer = Desk.find(at, control, token_file).get(f"/rollout/versions/{number}/diff", against=against)
    if as_json:
        show(answer)
        return
    table = Table("tier", "setting", "before", "after")
    for each in answer["changes"]:
        table.add_row(each["tier"], each["name"], json.dumps(each["before"]), json.dumps(each["after"]))
    Console(markup=False).print(table)


@rollout.command("stage")
def stage(
    file: Annotated[Path, typer.Argument(help="TOML with tables [edge] and [shield], as in the nodes' settings.")],
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Stage a version: checked, and nowhere in use yet.

    Example: headrace rollout stage slices.toml --note "2 MiB slices"
    """
    try:
        said = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: {error}") from None
    if unknown := sorted(set(said) - {"edge", "shield"}):
        raise SettingsError(f"{file}: `{unknown[0]}`: a version has [edge] and [shield]")
    answer = Desk.find(at, control, token_file).act("POST", "/rollout/versions", {**said, "note": note})
    if as_json:
        show(answer)
    else:
        print(f"version {answer['number']} is staged")


@rollout.command("canary")
def canary(
    number: Number,
    node: Annotated[list[str] | None, typer.Option(help="On these nodes; repeat it for several.")] = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="On so many edges, where no node is named.")] = 1,
    soak_s: Annotated[float, typer.Option(min=1, max=86_400, help="So long it must do well.")] = 60.0,
    goes_on: Annotated[bool, typer.Option("--goes-on", help="Give it to all by itself then.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is proven or gone; exit code 1 when gone.")] = False,
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Try a version on a few nodes; it goes by itself when they do worse than the others.

    Example: headrace rollout canary 4 --count 2 --soak-s 300 --wait
    """
    desk = Desk.find(at, control, token_file)
    wanted: dict[str, Any] = {"nodes": node or [], "count": count, "soakS": soak_s, "goesOn": goes_on}
    answer = desk.act("POST", f"/rollout/versions/{number}/canary", wanted)
    while wait and _stage(answer, number) == "canary":
        time.sleep(ASK_S)
        answer = desk.get("/rollout")
    _standing(answer, as_json=as_json)
    if _stage(answer, number) == "rolled_back":
        sys.exit(1)


@rollout.command("activate")
def activate(
    number: Number, at: At = None, control: Url = None, token_file: TokenFile = None, as_json: AsJson = False
) -> None:
    """Give a proven version to all nodes.

    Example: headrace rollout activate 4
    """
    answer = Desk.find(at, control, token_file).act("POST", f"/rollout/versions/{number}/activate")
    _standing(answer, as_json=as_json)


@rollout.command("back")
def back(
    why: Annotated[str, typer.Option(help="For those who look later.")] = "",
    at: At = None,
    control: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """End the canary; without one go back to the version before.

    Example: headrace rollout back --why "more misses"
    """
    _standing(Desk.find(at, control, token_file).act("POST", "/rollout/back", {"why": why}), as_json=as_json)


def _stage(answer: dict[str, Any], number: int) -> str:
    return next((str(each["stage"]) for each in answer["versions"] if each["number"] == number), "gone")


def _standing(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show(answer)
        return
    table = Table("version", "stage", "nodes", "by", "note", "why")
    for each in answer["versions"]:
        said = [each["by"], each["note"], each["why"]]
        table.add_row(str(each["number"]), each["stage"], str(each["nodes"]), *said)
    Console(markup=False).print(table)
    if answer["canary"]:
        tried = answer["canary"]
        Console(markup=False).print(
            f"version {tried['version']} on {', '.join(tried['nodes'])}: {answer['verdict']}", highlight=False
        )
