"""What is stale and still served: RFC 5861, and who forbids it (RFC 9111 4.2.4)."""

from tests.conformance.case import Case, check, differs, optimal, required, row
from tests.conformance.steps import WHILE_S, ages, fetched, hit, says, stale, told, validated

_TAG = 'ETag: "abc"'
_AWAY = says(dies=True)
_UNSAID = "Without stale-if-error nothing stale is served when the origin is away (RFC 9111 4.2.4 would allow it)."
_WARNING = "Warning is obsolete (RFC 9111 5.5) and not made."


def _cc(value: str) -> str:
    return f"Cache-Control: {value}"


def _forbidden(directive: str) -> Case:
    return row(
        f"{directive} and no answer",
        "9111 4.2.4",
        told(_cc(f"max-age=2, {directive}"), then=WHILE_S),
        fetched(says=_AWAY, status=502, text=_FAILED),
        public=required(f"stale-close-{directive}"),
    )


_FAILED = b'{"error":"upstream_failed"}\n'
_WINDOW = told(_cc("max-age=2, stale-if-error=60"), then=WHILE_S)

UNSAID = (
    row(
        "the connection ends",
        "9111 4.2.4",
        ages(),
        stale(says=_AWAY),
        public=check("stale-close"),
        differs=differs(_UNSAID, "2: fetched, not stale"),
    ),
    row(
        "503",
        "9111 4.2.4",
        ages(),
        stale(says=says(status=503)),
        public=check("stale-503"),
        differs=differs(_UNSAID, "2: fetched, not stale"),
    ),
    *(_forbidden(each) for each in ("must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=2")),
    row(
        "stored stale: no Warning",
        "9111 5.5",
        told("Expires: {-5000}", "Last-Modified: {-100000}", "Date: {0}"),
        stale(says=_AWAY, shows=("Warning",)),
        public=check("stale-warning-stored"),
        differs=differs(_WARNING, "2: fetched, not stale", "2: the answer has Warning [], not any"),
    ),
    row(
        "became stale: no Warning",
        "9111 5.5",
        told(_cc("max-age=2, stale-if-error=60"), "Template-A: 1", then=WHILE_S),
        stale(says=_AWAY, shows=("Warning",)),
        public=check("stale-warning-become"),
        differs=differs(_WARNING, "2: the answer has Warning [], not any"),
    ),
)

IF_ERROR = (
    row("stale-if-error, the connection ends", "5861 4", _WINDOW, stale(says=_AWAY), public=check("stale-sie-close")),
    row("stale-if-error, 503", "5861 4", _WINDOW, stale(says=says(status=503)), public=check("stale-sie-503")),
    *(row(f"stale-if-error, {code}", "5861 4", _WINDOW, stale(says=says(status=code))) for code in (500, 502, 504)),
    *(
        row(f"stale-if-error, {code} is an answer", "5861 4", _WINDOW, fetched(says=says(status=code)))
        for code in (404, 410, 501, 505)
    ),
    row(
        "stale-if-error over",
        "5861 4",
        told(_cc("max-age=2, stale-if-error=60"), then=63),
        fetched(says=says(status=503)),
    ),
    row(
        "stale-if-error of a request is not heard",
        "5861 4",
        ages(),
        fetched("Cache-Control: stale-if-error=60", says=says(status=503)),
    ),
    row(
        "the origin is back",
        "5861 4",
        _WINDOW,
        stale(says=says(status=503), then=2),
        fetched(says=says(_cc("max-age=60"))),
        hit(),
    ),
    row("the Age of what is stale", "9111 5.1", _WINDOW, stale(says=_AWAY, shows=("Age: 3",))),
    *(
        row(
            f"stale-if-error and {each}",
            "9111 4.2.4",
            told(_cc(f"max-age=2, stale-if-error=60, {each}"), then=WHILE_S),
            fetched(says=says(status=503)),
        )
        for each in ("must-revalidate", "proxy-revalidate", "s-maxage=2", "no-cache")
    ),
)

_GRACE = told(_cc("max-age=1, stale-while-revalidate=3600"), _TAG, then=WHILE_S)

WHILE = (
    row(
        "stale-while-revalidate",
        "5861 3",
        _GRACE,
        stale(says=says(_cc("max-age=60"))),
        public=optimal("stale-while-revalidate"),
    ),
    row("then the new answer", "5861 3", _GRACE, stale(says=says(_cc("max-age=60"))), hit(text=b"body 2")),
    row(
        "stale-while-revalidate over",
        "5861 3",
        told(_cc("max-age=1, stale-while-revalidate=4"), _TAG, then=WHILE_S),
        stale(says=says("Cache-Control: no-cache", 'ETag: "def"'), then=WHILE_S),
        validated(text=b"body 2"),
        public=required("stale-while-revalidate-window"),
    ),
    row(
        "after the window it is asked",
        "5861 3",
        told(_cc("max-age=1, stale-while-revalidate=4"), _TAG, then=6),
        validated(says=says(_cc("max-age=9"))),
    ),
    row(
        "must-revalidate forbids it",
        "9111 4.2.4",
        told(_cc("max-age=1, stale-while-revalidate=60, must-revalidate"), _TAG, then=WHILE_S),
        validated(),
    ),
)

ROWS = (*UNSAID, *IF_ERROR, *WHILE)
