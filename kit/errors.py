"""What went wrong, whose side it is on, and whether asking again may help.

An error is translated once at each boundary and rendered in one place. Its `kind` is the same word in log, metric
and test.
"""

from enum import StrEnum
from typing import ClassVar


class Side(StrEnum):
    """Who would have to act for the same request to succeed."""

    VIEWER = "viewer"
    UPSTREAM = "upstream"
    US = "us"


class HeadraceError(Exception):
    """Base of every error of ours.

    `kind` names it, `side` says who must act, `retry` whether the same call may succeed later, `status` is the
    HTTP status that a server answers with. The message is one line, fit to be shown to the caller.
    """

    kind: ClassVar[str] = "error"
    side: ClassVar[Side] = Side.US
    retry: ClassVar[bool] = False
    status: ClassVar[int] = 500


class BadRequest(HeadraceError):
    """The request cannot be understood; repeating it cannot help."""

    kind = "bad_request"
    side = Side.VIEWER
    status = 400


class Refused(HeadraceError):
    """Not allowed. The message is for the log: viewers get one constant answer (contracts.md)."""

    kind = "refused"
    side = Side.VIEWER
    status = 403


class NotFound(HeadraceError):
    """No such thing."""

    kind = "not_found"
    side = Side.VIEWER
    status = 404


class Conflict(HeadraceError):
    """The state of the thing forbids it now."""

    kind = "conflict"
    side = Side.VIEWER
    status = 409


class Unprocessable(HeadraceError):
    """Understood and refused: the content cannot be used (a file that is no video)."""

    kind = "unprocessable"
    side = Side.VIEWER
    status = 422


class Overloaded(HeadraceError):
    """Too much at once; come back later."""

    kind = "overloaded"
    side = Side.US
    retry = True
    status = 503


class UpstreamFailed(HeadraceError):
    """The server that we asked failed or could not be reached."""

    kind = "upstream_failed"
    side = Side.UPSTREAM
    retry = True
    status = 502


class UpstreamTimeout(UpstreamFailed):
    """The server that we asked took too long."""

    kind = "upstream_timeout"
    status = 504


class SettingsError(HeadraceError):
    """A setting is wrong; the message names file, line and the nearest right name. Processes exit with 2."""

    kind = "settings"
