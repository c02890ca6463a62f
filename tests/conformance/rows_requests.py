"""What a request says to a cache and what we hear of it (RFC 9111 5.2.1, 5.4); interim answers; HEAD (4.3.5)."""

from typing import Any

from tests.conformance.case import Case, Step, check, differs, optimal, required, row
from tests.conformance.steps import WHILE_S, ages, asking, fetched, fresh, hit, says, told, validated, with_method

_HOUR = "Cache-Control: max-age=3600"
_DEAF = (
    "Cache-Control and Pragma of requests are not heard, but for only-if-cached: "
    "no viewer may send the cache to its origin at will (RFC 9111 5.2.1 makes them advice)."
)


def _deaf(name: str, test: str, asked: str, *lines: str, then: float = 0.0) -> Case:
    """The public suite asks whether the origin is asked; with us it is not."""
    return row(
        name,
        "9111 5.2.1",
        told(*lines, then=then),
        fetched(f"Cache-Control: {asked}"),
        public=check(test),
        differs=differs(_DEAF, "2: a hit, not fetched"),
    )


def _validates(name: str, test: str, *lines: str) -> Case:
    return row(
        name,
        "9111 5.2.1",
        told(*lines),
        validated("Cache-Control: no-cache"),
        public=check(test),
        differs=differs(_DEAF, "2: a hit, not validated"),
    )


def _no_staler(name: str, test: str, *lines: str, then: float = 0.0) -> Case:
    return row(
        name,
        "9111 5.2.1.2",
        told(*lines, then=then),
        hit("Cache-Control: max-stale=1000"),
        public=check(test),
        differs=differs(_DEAF, "2: fetched, not a hit"),
    )


def _pragma(name: str, test: str, asked: str) -> Case:
    return row(name, "9111 5.4", told(_HOUR), hit(f"Pragma: {asked}"), public=check(test))


CONTROL = (
    _deaf("max-age=0", "ccreq-ma0", "max-age=0", "Cache-Control: max-age=100000", then=WHILE_S),
    _deaf("max-age=1", "ccreq-ma1", "max-age=1", "Cache-Control: max-age=100000", then=WHILE_S),
    _deaf("max-age below Age", "ccreq-magreaterage", "max-age=600", _HOUR, "Age: 1800"),
    _no_staler("max-stale", "ccreq-max-stale", "Cache-Control: max-age=1", then=WHILE_S),
    _no_staler("max-stale and Age", "ccreq-max-stale-age", "Cache-Control: max-age=1500", "Age: 2000"),
    _deaf("min-fresh", "ccreq-min-fresh", "min-fresh=2000", "Cache-Control: max-age=1500"),
    _deaf("min-fresh and Age", "ccreq-min-fresh-age", "min-fresh=1000", "Cache-Control: max-age=1500", "Age: 1000"),
    _deaf("no-cache", "ccreq-no-cache", "no-cache", _HOUR),
    _validates("no-cache, Last-Modified", "ccreq-no-cache-lm", _HOUR, "Last-Modified: {-10000}", "Date: {0}"),
    _validates("no-cache, ETag", "ccreq-no-cache-etag", _HOUR, 'ETag: "abc"'),
    _deaf("no-store", "ccreq-no-store", "no-store", _HOUR),
    row(
        "only-if-cached, nothing stored",
        "9111 5.2.1.7",
        hit("Cache-Control: only-if-cached", status=504),
        public=check("ccreq-oic"),
    ),
    row("only-if-cached, stored", "9111 5.2.1.7", told(_HOUR), hit("Cache-Control: only-if-cached")),
    row("only-if-cached, stale", "9111 5.2.1.7", ages(), hit("Cache-Control: only-if-cached", status=504)),
    row(
        "no-store of a request: the answer is kept",
        "9111 5.2.1.5",
        asking(told(_HOUR), "Cache-Control: no-store"),
        hit(),
    ),
    row(
        "it goes on to the origin",
        "9111 5.2.1",
        asking(
            told(_HOUR, sends=("Cache-Control: no-cache", "Pragma: no-cache")),
            "Cache-Control: no-cache",
            "Pragma: no-cache",
        ),
    ),
)

PRAGMA = (
    _pragma("Pragma: no-cache", "pragma-request-no-cache", "no-cache"),
    _pragma("Pragma unknown", "pragma-request-extension", "unrecognised-extension"),
    row(
        "Pragma of an answer",
        "9111 5.4",
        told(_HOUR, "Pragma: no-cache"),
        hit(),
        public=check("pragma-response-no-cache"),
    ),
    row(
        "Pragma of an answer and a guess",
        "9111 5.4",
        told("Date: {0}", "Last-Modified: {-10000}", "Pragma: no-cache"),
        hit(),
        public=check("pragma-response-no-cache-heuristic"),
    ),
    row(
        "Pragma of an answer, unknown",
        "9111 5.4",
        told(_HOUR, "Pragma: unrecognised-extension"),
        hit(),
        public=check("pragma-response-extension"),
    ),
)

_LINK = "Link: </styles.css>; rel=preload; as=style"
_HINTED = ((103, (_LINK, "X-My-Header: test")),)

INTERIM = (
    row("102", "9110 15.2", fresh(interim=((102, ()),), hears=(102,)), hit(), public=optimal("interim-102")),
    row("103", "8297 2", fresh(interim=_HINTED, hears=(103,)), hit(), public=optimal("interim-103")),
    row(
        "an interim answer is not kept",
        "9111 3",
        fresh(interim=((103, (_LINK,)),), hears=(103,)),
        hit(interim=()),
        public=required("interim-not-cached"),
    ),
    row(
        "fields of an interim answer are not kept",
        "8297 2",
        fresh(interim=_HINTED, hears=(103,), hides=("X-My-Header",)),
        hit(hides=("X-My-Header", "Link")),
        public=optimal("interim-no-header-reuse"),
    ),
    row("several interim answers", "9110 15.2", fresh(interim=(*_HINTED, *_HINTED), hears=(103, 103)), hit()),
)

_GETS = (
    "A HEAD for what is stale asks with GET: what is stored is brought up to date for all (RFC 9111 4.3.5 is a MAY)."
)
_GOT = "2: the origin got GET, not HEAD"
_STALE = ages("Template-A: 1")
_LATER = ("Template-A: 2", "Cache-Control: max-age=1000")


def _head(*lines: str, status: int = 200, **more: Any) -> Step:
    return with_method("HEAD", fetched(says=says(*lines, status=status), asked_by="HEAD", **more))


HEAD = (
    row(
        "HEAD when stale",
        "9111 4.3.5",
        _STALE,
        _head(),
        public=check("head-writethrough"),
        differs=differs(_GETS, _GOT),
    ),
    row(
        "HEAD when stale: fields not received",
        "9111 4.3.5",
        _STALE,
        _head(shows=("Template-A: 1",)),
        public=check("head-200-retain"),
        differs=differs(_GETS, "2: the answer has Template-A [], not 1", _GOT),
    ),
    row(
        "HEAD when stale: lifetime",
        "9111 4.3.5",
        _STALE,
        _head("Cache-Control: max-age=1000"),
        hit(),
        public=check("head-200-freshness-update"),
        differs=differs(_GETS, _GOT),
    ),
    row(
        "HEAD when stale: fields",
        "9111 4.3.5",
        _STALE,
        _head(*_LATER),
        hit(shows=("Template-A: 2",)),
        public=check("head-200-update"),
        differs=differs(_GETS, _GOT),
    ),
    row(
        "HEAD when stale: 410",
        "9111 4.3.5",
        _STALE,
        _head(*_LATER, status=410),
        hit(shows=("Template-A: 2",)),
        public=check("head-410-update"),
        differs=differs(_GETS, _GOT, "3: status 410, not 200"),
    ),
)

ROWS = (*CONTROL, *PRAGMA, *INTERIM, *HEAD)
