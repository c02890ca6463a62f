"""What the console can do: for each deed the endpoint, the words of the question, and the call made from the form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Given = Mapping[str, str]


def _nothing(_: Given) -> None:
    return None


@dataclass(frozen=True)
class Deed:
    """`path`: form fields that go into the path; `fields`: all fields of the form."""

    endpoint: str
    verb: str
    title: Callable[[Given], str]
    says: str
    fields: tuple[str, ...]
    path: tuple[str, ...] = ()
    body: Callable[[Given], dict[str, Any] | None] = _nothing


def _purge(given: Given) -> dict[str, Any]:
    by = given.get("by", "")
    return {by if by in ("url", "prefix") else "tag": given.get("what", ""), "soft": bool(given.get("soft"))}


def _override(given: Given) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": given.get("kind", ""), "edge": given.get("edge", "")}
    minutes = _number(given.get("minutes", ""))
    found["lifetime_s"] = minutes * 60 if isinstance(minutes, int) else minutes
    found["percent"] = _number(given.get("percent", ""))
    return found | {name: given[name] for name in ("title", "region", "reason") if given.get(name)}


def _number(text: str) -> int | str:
    """Text that is no number goes on as it is: the endpoint says what is wrong with it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


_ALL = (
    Deed(
        "orders.purge",
        "Purge",
        lambda given: (
            f"{'Soft purge' if given.get('soft') else 'Purge'} {given.get('by', '')} {given.get('what', '')}?"
        ),
        "Every shield, then every edge. What is asked for again comes from the origin.",
        ("by", "what", "soft"),
        body=_purge,
    ),
    Deed(
        "steering.override",
        "Override",
        lambda given: f"{given.get('kind', '').capitalize()} {given.get('edge', '')}?",
        "Steering follows it from the next session on, and running sessions within one TTL, until its end.",
        ("kind", "edge", "minutes", "percent", "title", "region", "reason"),
        body=_override,
    ),
    Deed("steering.lift", "Lift", lambda _: "Lift this override?", "Steering decides again.", ("id",), ("id",)),
    Deed(
        "nodes.drain",
        "Drain",
        lambda given: f"Drain {given.get('id', '')}?",
        "It takes no new session; running ones are steered elsewhere, and none is cut.",
        ("id",),
        ("id",),
    ),
    Deed(
        "nodes.undrain",
        "Undrain",
        lambda given: f"Let {given.get('id', '')} take sessions again?",
        "New sessions go there as its load allows.",
        ("id",),
        ("id",),
    ),
    Deed(
        "rollout.activate",
        "Activate",
        lambda given: f"Give version {given.get('number', '')} to all nodes?",
        "Every node lays it over its own settings within seconds; none is restarted.",
        ("number",),
        ("number",),
    ),
    Deed(
        "rollout.back",
        "Go back",
        lambda _: "Go back?",
        "A canary under way ends, and its version never runs again. Without one, all nodes go back to the version"
        " before the active one.",
        ("why",),
        body=lambda given: {"why": given.get("why", "")},
    ),
)
DEEDS: Mapping[str, Deed] = {deed.endpoint: deed for deed in _ALL}
"""Endpoint id -> the deed."""
