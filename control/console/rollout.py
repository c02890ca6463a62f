"""The part of the page on rollouts: where they stand, the versions with what may be done, and what happened."""

from control.admin.roles import Area, Principal, Role
from control.admin.rollout import Rollouts, VersionRow
from control.admin.trail import when
from control.console.markup import Html, action, join, table, tag, text
from control.rollout.model import Event, Stage

_COLOURS = {Stage.ACTIVE: "ok", Stage.CANARY: "busy", Stage.ROLLED_BACK: "full"}
_EVENTS = 10


def rollout(standing: Rollouts, who: Principal) -> Html:
    """Standing, versions, history; buttons as far as this role may press them."""
    return join([_standing(standing, who), _versions(standing, who), _history(standing.events)])


def _standing(standing: Rollouts, who: Principal) -> Html:
    active, canary = standing.active, standing.canary
    said = f"Active: version {active}." if active is not None else "Active: none; nodes have their own settings alone."
    parts = [text(said)]
    if canary is not None:
        nodes = ", ".join(canary.nodes[:5]) + (f" and {len(canary.nodes) - 5} more" if len(canary.nodes) > 5 else "")
        then = "then for all" if canary.goes_on else "then it waits to be activated"
        parts.append(text(f" Version {canary.version} is tried on {nodes} for {canary.soak_s:,.0f} s, {then}."))
    if standing.verdict:
        bad = standing.verdict.startswith("bad")
        parts += [text(" "), tag("span", text(f"Verdict: {standing.verdict}."), class_="full" if bad else None)]
    if (canary is not None or active is not None) and who.may(Role.OPERATOR, Area.ROLLOUT):
        say = "End the canary" if canary is not None else "Go back to the version before"
        parts += [text(" "), action("rollout.back", say, say)]
    return tag("div", join(parts), class_="standing")


def _versions(standing: Rollouts, who: Principal) -> Html:
    acts = who.may(Role.ADMIN, Area.ROLLOUT)
    heads = {"Version": "", "Stage": "", "Note": "", "By": "", "Made": "", "Nodes": "number"}
    heads |= {"Action": ""} if acts else {}
    rows = [_version(each, acts) for each in standing.versions]
    return table("Versions, newest first", heads, rows, empty="No version was staged yet.")


def _version(row: VersionRow, acts: bool) -> list[Html]:
    cells = [
        tag("b", text(row.number)),
        tag("span", text(row.stage.value.replace("_", " ")), class_=_COLOURS.get(row.stage), title=row.why or None),
        text(row.note),
        text(row.by),
        text(_moment(row.made)),
        text(row.nodes),
    ]
    if acts:
        number = str(row.number)
        proven = row.stage is Stage.PROVEN
        say = f"Activate version {number}"
        cells.append(action("rollout.activate", "Activate", say, number=number) if proven else text(""))
    return cells


def _history(events: tuple[Event, ...]) -> Html:
    heads = {"When": "", "Version": "", "Became": "", "By": "", "Why": ""}
    rows = [
        [
            text(_moment(each.at)),
            text(each.version),
            text(each.stage.value.replace("_", " ")),
            text(each.by),
            text(each.why),
        ]
        for each in events[:_EVENTS]
    ]
    return table("What happened, newest first", heads, rows, empty="Nothing happened yet.")


def _moment(at: float) -> str:
    return when(at)[:16].replace("T", " ")
