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


_ALL = (
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
)
DEEDS: Mapping[str, Deed] = {deed.endpoint: deed for deed in _ALL}
"""Endpoint id -> the deed."""
