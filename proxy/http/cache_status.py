"""Cache-Status (RFC 9211): one member a cache, ours appended behind those of the tiers before."""

from enum import StrEnum


class Forward(StrEnum):
    """Why a request went upstream (RFC 9211 2.2)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    PARTIAL = "partial"
    STALE = "stale"
    REQUEST = "request"


def hit(name: str, ttl_s: float, *, detail: str | None = None) -> str:
    """A stored answer was used; `ttl_s` is what is left of its freshness, negative when it is stale."""
    return f"{item(name)}; hit; ttl={int(ttl_s)}" + (f"; detail={detail}" if detail else "")


def forwarded(
    name: str,
    why: Forward,
    *,
    status: int | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: str | None = None,
) -> str:
    """The request went upstream, or waited for one that did (`collapsed`)."""
    text = f"{item(name)}; fwd={why.value}"
    if status is not None:
        text += f"; fwd-status={status}"
    text += "; stored" * stored + "; collapsed" * collapsed
    return text + (f"; detail={detail}" if detail else "")


def item(name: str) -> str:
    """A token where it can be one, else a string (RFC 9651 3.3)."""
    return name if name[:1].isalpha() else f'"{name}"'
