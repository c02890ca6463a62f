"""From a stored (or growing) answer to what this request gets of it: all, a part, 304, 412 or 416."""

from dataclasses import dataclass

from proxy.http import conditionals, ranges
from proxy.http.conditionals import Validators, Verdict
from proxy.http.fields import Fields, single, values
from proxy.http.ranges import Part, Unsatisfiable
from proxy.serve.wire import Answer, Sent
from proxy.store.bodies import Body

_NOT_MODIFIED_KEEPS = frozenset(
    {"cache-control", "content-location", "date", "etag", "expires", "vary", "cache-groups", "last-modified"}
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Status, fields, and which bytes: `start` to `end` (None: to the end, wherever that is); `length` of them."""

    status: int
    fields: Fields
    start: int
    end: int | None
    length: int | None


def plan(status: int, fields: Fields, validators: Validators, size: int | None, method: str, request: Fields) -> Plan:
    """Preconditions, then Range (RFC 9110 13.2.2), for GET and HEAD of an answer whose body has `size` bytes."""
    if status == 200:
        verdict = conditionals.evaluate(request, validators)
        if verdict is Verdict.NOT_MODIFIED:
            return Plan(304, _for_not_modified(fields), 0, 0, 0)
        if verdict is Verdict.FAILED:
            return Plan(412, _for_error(fields), 0, 0, 0)
        if method == "GET" and size is not None and conditionals.range_applies(request, validators):
            selected = ranges.parse_range(single(request, "Range"), size)
            if isinstance(selected, Unsatisfiable):
                return Plan(416, (*_for_error(fields), ("Content-Range", f"bytes */{size}")), 0, 0, 0)
            if isinstance(selected, Part):
                described = (*_ranged(fields), ("Content-Range", selected.content_range(size)))
                return Plan(206, described, selected.start, selected.end, selected.end - selected.start)
        fields = _ranged(fields)
    return Plan(status, fields, 0, size, size)


async def send(answer: Answer, made: Plan, body: Body, method: str, extra: Fields) -> Sent:
    """Put a plan on the wire. kit.errors.UpstreamFailed when a growing body breaks off."""
    await answer.begin(made.status, made.fields + extra, made.length)
    if method != "HEAD" and made.length != 0 and made.status != 304:
        await answer.body(body.pieces(made.start, made.end))
    return await answer.end()


def _ranged(fields: Fields) -> Fields:
    return fields if values(fields, "Accept-Ranges") else (*fields, ("Accept-Ranges", "bytes"))


def _for_not_modified(fields: Fields) -> Fields:
    return tuple((name, value) for name, value in fields if name.lower() in _NOT_MODIFIED_KEEPS)


def _for_error(fields: Fields) -> Fields:
    """412 and 416 describe no content of the object."""
    return tuple((name, value) for name, value in fields if name.lower() in ("date", "etag", "vary"))
