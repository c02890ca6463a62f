"""The audit log: who did what, when, with what outcome (OBS-21). Each entry carries the hash of the one before it, so
that a line changed or taken out later shows (OBS-22). Pure.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

import orjson

from control.contract.messages import Message

FIRST = "0" * 64
"""What the first entry names as the one before it."""
DETAIL_CHARS = 1024


class Outcome(StrEnum):
    """What became of a call."""

    DONE = "done"
    REPLAYED = "replayed"
    """The kept answer to an idempotency key was given again; nothing was done."""
    REFUSED = "refused"
    FAILED = "failed"


class Record(Message):
    """One call, before it has its place in the chain."""

    at: str
    """RFC 3339, UTC."""
    actor: str
    """Id of the token; `-` where none was good."""
    actor_name: str
    role: str
    action: str
    """The endpoint's id, as `nodes.drain`."""
    target: str
    """Path and query."""
    outcome: Outcome
    status: int
    reason: str
    """The error's kind; empty when it was done."""
    request_id: str
    client: str
    detail: str
    """The body as it was understood, DETAIL_CHARS at most."""
    suppressed: int = 0
    """Refused calls since the last entry that were too many to be written each."""


class Entry(Record):
    """A record in the chain."""

    seq: int
    prev: str
    hash: str


def when(now: float) -> str:
    """Seconds since the epoch as RFC 3339."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def chained(record: Record, seq: int, prev: str) -> Entry:
    """The record as entry `seq` after the entry whose hash is `prev`."""
    fields = record.model_dump(by_alias=False)
    return Entry(**fields, seq=seq, prev=prev, hash=_hash(record, seq, prev))


def broken(entries: Iterable[Entry]) -> int | None:
    """The first entry, oldest first, that was changed or does not follow the one before it; None when all is well.

    The first one given is believed about what came before it: older entries have gone by the log's bound.
    """
    last: Entry | None = None
    for entry in entries:
        record = Record(**entry.model_dump(by_alias=False, exclude={"seq", "prev", "hash"}))
        follows = last is None or (entry.seq, entry.prev) == (last.seq + 1, last.hash)
        if not follows or entry.hash != _hash(record, entry.seq, entry.prev):
            return entry.seq
        last = entry
    return None


def _hash(record: Record, seq: int, prev: str) -> str:
    fields = record.model_dump(mode="json") | {"seq": seq, "prev": prev}
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()
