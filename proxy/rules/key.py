"""The cache key: authority as configured, path, query less CMCD (contracts.md); the token is gone before."""

import re

_CMCD = re.compile(r"(?:^|(?<=&))CMCD=[^&]*(?:&|$)")


def cache_key(authority: str, target: str) -> str:
    """The key of an origin-form target. Client Host never enters it."""
    return authority + strip_cmcd(target)


def report(query: str) -> str:
    """That parameter as it stands in the query, its name included; "" without one."""
    found = _CMCD.search(query) if "CMCD=" in query else None
    return found[0].rstrip("&") if found else ""


def strip_cmcd(target: str) -> str:
    """The target without the query parameter in which players report (CTA-5004): it must not split the cache."""
    path, mark, query = target.partition("?")
    if "CMCD=" not in query:
        return target
    rest = _CMCD.sub("", query).rstrip("&")
    return f"{path}?{rest}" if rest else path if mark else target
