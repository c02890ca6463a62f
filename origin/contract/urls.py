"""The URL grammar of media: `/~<token>/content/<id>/<version>/...` (contracts.md).

Upstream tiers and the cache key see the path without the token.
"""

import re

CONTENT = "/content/"
MASTER_HLS = "master.m3u8"
MASTER_DASH = "manifest.mpd"
TOKEN_MARK = "/~"
EVENTS = "/cmcd"
"""Behind a token: where a player of that session sends its events (CTA-5004-B); an edge's own."""
AVERAGE_BANDWIDTH = "urn:headrace:average-bandwidth"
"""Scheme of a DASH property: bit/s of a video rung with the heaviest sound, as AVERAGE-BANDWIDTH says it in HLS."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def is_id(text: str) -> bool:
    """Whether `text` can be a content or version id."""
    return _ID.fullmatch(text) is not None


def content_prefix(content_id: str) -> str:
    """The path prefix that a title's token opens: `/content/<id>/`."""
    return f"{CONTENT}{content_id}/"


def asset_path(content_id: str, version: str, name: str) -> str:
    """The path of one published file, without token."""
    return f"{CONTENT}{content_id}/{version}/{name}"


def with_token(token: str, path: str) -> str:
    """The path as a player asks for it; relative references in playlists inherit the token."""
    return f"{TOKEN_MARK}{token}{path}"


def split_token(path: str) -> tuple[str | None, str]:
    """(token, path without it); token is None where the path carries none."""
    if not path.startswith(TOKEN_MARK):
        return None, path
    token, slash, rest = path[len(TOKEN_MARK) :].partition("/")
    return token, slash + rest
