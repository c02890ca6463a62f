"""Request targets (RFC 9112 3.2): only origin-form is served; what could mean two things is refused.

Deviation: absolute-form, which RFC 9112 3.2.2 wants accepted, is refused: no client sends it to a reverse proxy, and
what it says about the authority would have to be ignored.
"""

import re

from kit.errors import BadRequest

MAX_TARGET = 8000
_VISIBLE = re.compile(r"/[!-~]*")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AMBIGUOUS = re.compile(r"%(?:2[eEfF]|5[cC]|00)|\\|;|//")


def check(target: str) -> tuple[str, str]:
    """(path, query) of an origin-form target; BadRequest for anything else or a path that climbs above the root."""
    if len(target) > MAX_TARGET:
        raise BadRequest("target too long")
    if not _VISIBLE.fullmatch(target) or "#" in target:
        raise BadRequest("not an origin-form target of visible characters")
    path, _, query = target.partition("?")
    if _ESCAPE.search(path):
        raise BadRequest("malformed percent-encoding")
    if _climbs(path):
        raise BadRequest("path climbs above the root")
    return path, query


def check_plain(path: str) -> None:
    """Refuse what two servers could read differently: dot segments, encoded dots and slashes, empty segments.

    For paths of our own grammar; a proxy before a foreign origin passes these on as they are.
    """
    if _AMBIGUOUS.search(path) or any(part in (".", "..") for part in path.split("/")):
        raise BadRequest("path is not in plain form")


def _climbs(path: str) -> bool:
    depth = 0
    for part in path.replace("%2e", ".").replace("%2E", ".").split("/")[1:]:
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return True
    return False
