"""The tag grammar: what a stored answer belongs to, so that a purge can name it (CDN-15, RFC 9875).

A tag is `kind:id` with kind one of KINDS and id of `[A-Za-z0-9._-]`, at most 64.
"""

import re

KINDS = ("title", "version", "rung", "class")
_TAG = re.compile(rf"(?:{'|'.join(KINDS)}):[A-Za-z0-9._-]{{1,64}}")


def tag(kind: str, name: str) -> str:
    """`tag("title", "bbb")` -> `title:bbb`. ValueError outside the grammar."""
    text = f"{kind}:{name}"
    if not _TAG.fullmatch(text):
        raise ValueError(f"not a tag: {text!r}")
    return text


def field(tags: list[str]) -> str:
    """The Cache-Groups field value: a structured list of strings."""
    return ", ".join(f'"{each}"' for each in tags)
