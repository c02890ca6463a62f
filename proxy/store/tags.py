"""The tags that a stored answer carries: Cache-Groups (RFC 9875) and Surrogate-Key, which older origins send."""

import re

from proxy.http.fields import Fields, members, values

MOST = 64
"""Tags of one answer; further ones are not indexed."""
_STRING = re.compile(r'"((?:[^"\\]|\\["\\])*)"(?:;.*)?', re.DOTALL)


def tags_of(fields: Fields) -> tuple[str, ...]:
    """Tags in order, each once. A Cache-Groups field that is no list of strings counts as absent (RFC 9875 2)."""
    found = [*_groups(fields), *(word for value in values(fields, "Surrogate-Key") for word in value.split())]
    return tuple(dict.fromkeys(found))[:MOST]


def _groups(fields: Fields) -> list[str]:
    groups = []
    for member in (member for value in values(fields, "Cache-Groups") for member in members(value)):
        match = _STRING.fullmatch(member)
        if not match:
            return []
        groups.append(re.sub(r"\\(.)", r"\1", match[1]))
    return groups
