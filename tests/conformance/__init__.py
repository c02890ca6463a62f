"""Conformance of the cache, played on the wire: a row a case, each with its RFC section (issue 3, part 1).

Words: case (a row), step (one request, and what the origin says if it is asked), came about (a hit, stale, fetched,
validated, asked for anew), public test (one of the suite behind cache-tests.fyi, http-tests/cache-tests, by its id),
differs (we do otherwise, on purpose, and the row says what is seen instead and why).

Start at case; steps are how rows are written, rows_* the rows, play what plays them, table what counts them. The
package imports tests.support, kit.clock and proxy.http.dates.

The public suite's tests for a shared cache, by kind, as the rows meet them; what is `otherwise` under `check` answers a
question that has no wrong answer:

                as asked  otherwise  not played
    required         157          1           1
    optimal           87         19           0
    check             55         45           0
"""
