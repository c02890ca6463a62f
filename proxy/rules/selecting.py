"""Selecting fields (RFC 9111 4.1): what a request says in the fields that Vary names, in a normal form.

Two requests get the same form only where every answer fit for one is fit for the other. A field that is absent
matches only where it is absent, so it has a form of its own.
"""

from functools import lru_cache

from proxy.http.fields import Fields, members, values

Names = tuple[str, ...]
"""Names of selecting fields: lower case, sorted, each once."""

ABSENT = "\0"
"""The form of a field that is not there; no field value can hold it."""

_ALIASES = {"x-gzip": "gzip", "x-compress": "compress"}
_LISTS = frozenset({"accept", "accept-charset", "accept-language"})
_WITHOUT_CASE = frozenset({"accept-charset", "accept-language"})


def names_of(response: Fields) -> Names | None:
    """The fields that Vary names: () without Vary, None for `Vary: *`."""
    names = {name.strip().lower() for value in values(response, "Vary") for name in value.split(",") if name.strip()}
    return None if "*" in names else tuple(sorted(names))


def selected(names: Names, request: Fields) -> Fields:
    """Those fields of a request, in their normal form."""
    return tuple((name, _form(name, values(request, name))) for name in names)


def _form(name: str, found: list[str]) -> str:
    if not found:
        return ABSENT
    if name == "accept-encoding":
        return _codings(", ".join(found))
    combined = ", ".join(found)  # RFC 9110 5.3: as good as the lines of which it is made
    if name in _LISTS:
        form = ",".join(" ".join(member.split()) for member in members(combined))
        return form.lower() if name in _WITHOUT_CASE else form
    return " ".join(combined.split())


@lru_cache(4096)
def _codings(value: str) -> str:
    """The acceptable codings, sorted, without their weights: weights say what is liked, not what is acceptable. What is
    refused (RFC 9110 12.5.3) is kept where that tells more than leaving it out: identity, and anything beside `*`."""
    accepted: set[str] = set()
    refused: set[str] = set()
    for member in members(value.lower()):
        coding, _, parameters = member.partition(";")
        coding = _ALIASES.get(coding.strip(), coding.strip())
        (refused if _is_zero(parameters) else accepted).add(coding)
    if "*" not in accepted:
        refused &= {"identity", "*"}
        accepted -= {"identity"} if not refused else set()
    return ",".join([*sorted(accepted), *(f"{coding};q=0" for coding in sorted(refused - accepted))])


def _is_zero(parameters: str) -> bool:
    name, _, weight = parameters.partition("=")
    return name.strip() == "q" and weight.strip() in ("0", "0.", "0.0", "0.00", "0.000")
