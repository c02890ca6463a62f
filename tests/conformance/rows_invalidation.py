"""What a written-to target does to what is stored (RFC 9111 4.4). Groups have tests/wire/test_09_keeper."""

from tests.conformance.case import Case, Step, check, optimal, required, row
from tests.conformance.steps import asking, at, fetched, fresh, hit, told, with_method

_METHODS = ("POST", "PUT", "DELETE", "M-SEARCH")
_NAMES = {"location": "Location", "cl": "Content-Location"}


def _written(method: str, *lines: str, status: int = 200) -> Step:
    return with_method(method, told(*lines, status=status), b"abc")


def _named(method: str, suffix: str) -> Case:
    name = _NAMES[suffix]
    return row(
        f"{method} and {name}",
        "9111 4.4",
        at("/d/other", fresh()),
        at("/d/r", _written(method, f"{name}: other")),
        at("/d/other", fetched()),
        public=check(f"invalidate-{method}-{suffix}"),
    )


def _elsewhere(name: str, value: str, kept: bool) -> Case:
    last = hit(text=b"body 1") if kept else fetched()
    return row(
        f"Location {name}",
        "9111 4.4",
        at("/other", fresh()),
        _written("POST", f"Location: {value}", status=201),
        at("/other", last),
    )


METHODS = (
    *(
        row(f"{method}", "9111 4.4", fresh(), _written(method), fetched(), public=required(f"invalidate-{method}"))
        for method in _METHODS
    ),
    *(
        row(
            f"{method} that failed",
            "9111 4.4",
            fresh(),
            _written(method, status=500),
            hit(text=b"body 1"),
            public=optimal(f"invalidate-{method}-failed"),
        )
        for method in _METHODS
    ),
    *(
        row(f"{method} answered {status}", "9111 4.4", fresh(), _written(method, status=status), fetched())
        for method in ("POST", "PATCH")
        for status in (201, 204, 303)
    ),
    *(
        row(f"POST answered {status}", "9111 4.4", fresh(), _written("POST", status=status), hit(text=b"body 1"))
        for status in (400, 404, 412, 503)
    ),
    *(_named(method, suffix) for method in _METHODS for suffix in _NAMES),
    row(
        "safe methods leave it",
        "9111 4.4",
        fresh(),
        with_method("OPTIONS", told()),
        with_method("HEAD", hit()),
        hit(text=b"body 1"),
    ),
    row("another query stays", "9111 4.4", at("/r?a=1", fresh()), _written("POST"), at("/r?a=1", hit(text=b"body 1"))),
    row(
        "a failed one that names another",
        "9111 4.4",
        at("/other", fresh()),
        _written("POST", "Location: /other", status=500),
        at("/other", hit(text=b"body 1")),
    ),
    row(
        "every variant",
        "9111 4.4",
        asking(fresh("Vary: A"), "A: 1"),
        asking(fresh("Vary: A"), "A: 2"),
        _written("POST"),
        fetched("A: 1"),
        fetched("A: 2"),
    ),
    row("what is written is passed on", "9110 9.3.3", with_method("POST", told(status=201, text=b"body 1"), b"abc")),
)

NAMED = (
    _elsewhere("of a path", "/other", False),
    _elsewhere("of a relative path", "other", False),
    _elsewhere("of our authority", "http://edge.test/other", False),
    _elsewhere("of another authority", "http://elsewhere.test/other", True),
    _elsewhere("without a path", "", True),
    _elsewhere("that is no reference", "http://[x", True),
    row(
        "Location of a GET names nothing",
        "9111 4.4",
        at("/other", fresh()),
        told("Location: /other", status=302),
        at("/other", hit(text=b"body 1")),
    ),
)

ROWS = (*METHODS, *NAMED)
