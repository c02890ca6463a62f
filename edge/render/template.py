"""A master with places left for what differs by session. No master of ours can have a place's text in it."""

from dataclasses import dataclass

NAMES = "ABCDEFGH"
"""Pathways by their position (PATHWAY-ID, serviceLocation); control speaks of them by the same letters."""
MARK = "\ue000"
"""Of the private use area: beginning and end of a place."""
STEERING = f"{MARK}S{MARK}"


@dataclass(frozen=True, slots=True)
class Template:
    """`untouched`: the stored bytes are the answer as they are, and `text` is empty."""

    text: str
    untouched: bool = False


UNTOUCHED = Template("", untouched=True)


def place(at: int) -> str:
    """Where the base of the pathway at position `at` goes."""
    return f"{MARK}{at}{MARK}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What decides a template beside the stored bytes. `ways`: pathways; `steered`: a server is asked for their order;
    `default`: the first is said to be where play begins."""

    cap_kbps: int | None
    ways: int
    steered: bool = False
    default: bool = True


def decoded(stored: bytes) -> str:
    """The text of a stored master. ValueError when it is no UTF-8, or has a place's text in it."""
    text = stored.decode("utf-8")
    if MARK in text:
        raise ValueError("a character of the private use area")
    return text
