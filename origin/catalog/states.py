"""How a version moves from upload to published, and what that makes of its title (C-40: two separate fields)."""

from enum import StrEnum

from kit.errors import Conflict


class State(StrEnum):
    """The ingest state of a version, in order."""

    QUEUED = "queued"
    PROBING = "probing"
    ENCODING = "encoding"
    PACKAGING = "packaging"
    VERIFYING = "verifying"
    READY = "ready"
    FAILED = "failed"


class MediaStatus(StrEnum):
    """What a title is good for (C-40)."""

    INGESTING = "ingesting"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


def check_transition(before: State, after: State) -> None:
    """Conflict unless `after` may follow `before`.

    Ready is the end and comes from publishing only. A failed version starts again at the front. Working states may
    repeat: a durable job that resumes on another machine walks its finished steps again.
    """
    if before is after:
        return
    if before is State.READY:
        raise Conflict(f"a published version never changes: not from ready to {after}")
    if after is State.READY:
        raise Conflict(f"a version becomes ready by being published: not from {before}")
    if before is State.FAILED and after is not State.QUEUED:
        raise Conflict(f"a failed version starts again at queued: not at {after}")


def media_status(state: State, *, published: bool) -> MediaStatus:
    """The title's status when its newest version is in `state`; `published`: an older one can be played."""
    if published or state is State.READY:
        return MediaStatus.READY
    if state is State.FAILED:
        return MediaStatus.FAILED
    return MediaStatus.INGESTING if state in (State.QUEUED, State.PROBING) else MediaStatus.PROCESSING
