"""What kind of thing an answer is, for the metrics: a closed set of words, by its media type."""

CLASSES = ("playlist", "video", "audio", "text", "image", "other")
_PLAYLISTS = frozenset(
    {"application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "application/dash+xml"}
)
_TOPS = frozenset({"video", "audio", "text", "image"})


def class_of(content_type: str | None) -> str:
    """The class of a Content-Type value (RFC 9110 8.3); `other` without one."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind in _PLAYLISTS:
        return "playlist"
    top = kind.partition("/")[0]
    return top if top in _TOPS else "other"
