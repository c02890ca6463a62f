"""What else a successful unsafe request makes stale besides its target (RFC 9111 4.4)."""

from urllib.parse import urljoin, urlsplit

from kit.errors import BadRequest
from proxy.http import target as targets
from proxy.http.fields import Fields, single
from proxy.rules.key import strip_cmcd


def named(response: Fields, target: str, authorities: tuple[str, ...]) -> tuple[str, ...]:
    """The targets, other than `target`, that Location and Content-Location name under one of `authorities`: of another
    origin nothing may be invalidated, and what is no target of ours names nothing."""
    found = []
    for name in ("Location", "Content-Location"):
        value = single(response, name)
        other = _target(value, target, authorities) if value else None
        if other is not None and other != strip_cmcd(target):
            found.append(other)
    return tuple(dict.fromkeys(found))


def _target(reference: str, target: str, authorities: tuple[str, ...]) -> str | None:
    """The target that a reference means (RFC 3986 5), None when it is elsewhere."""
    try:
        resolved = urlsplit(urljoin(f"http://here{target}", reference))
        if resolved.netloc.lower() not in {"here", *(each.lower() for each in authorities if each)}:
            return None
        path = (resolved.path or "/") + (f"?{resolved.query}" if resolved.query else "")
        targets.check(path)
    except (ValueError, BadRequest):
        return None
    return strip_cmcd(path)
