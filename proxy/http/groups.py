"""Cache-Group-Invalidation (RFC 9875 3): which groups of stored answers an answer declares out of date."""

import http_sf

from proxy.http.fields import Fields, combined

MOST = 64
"""Groups of one answer; further ones are not heeded (RFC 9875 asks for 32 at least)."""


def invalidated(response: Fields) -> tuple[str, ...]:
    """The groups, each once; () when the field is absent or no list of strings, which counts as absent."""
    value = combined(response, "Cache-Group-Invalidation")
    if value is None:
        return ()
    try:
        parsed = http_sf.parse(value.encode("latin-1"), tltype="list")
    except (http_sf.StructuredFieldError, UnicodeError):
        return ()
    assert isinstance(parsed, list)
    found = [item[0] if isinstance(item, tuple) else None for item in parsed]
    strings = [each for each in found if type(each) is str]
    return tuple(dict.fromkeys(strings))[:MOST] if len(strings) == len(parsed) else ()
