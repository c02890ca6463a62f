"""The OpenAPI document says what is served: schemathesis calls every operation with good and bad values and compares
the answers with the document (issue 5: no 5xx)."""

import asyncio
from pathlib import Path

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from control.admin.endpoint import PREFIX, Endpoint
from control.admin.openapi import document
from tests.control.admin_client import TOKEN, Console, console
from tests.control.support import report

CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422", "429"]},
        "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "413", "422"]},
    }
}
"""422 is the answer to what a schema cannot say: a region that the settings do not name."""
CASES = 12
"""For each operation and kind of values; by hand, 60 found no more."""


async def test_the_document_is_what_is_served(tmp_path: Path) -> None:
    async with console(tmp_path) as desk:
        status, served, _ = await desk.call("GET", "/openapi.json")
    rows = desk.admin.endpoints
    assert (status, served["openapi"]) == (200, "3.1.0")
    operations = {
        (path, method): operation for path, methods in served["paths"].items() for method, operation in methods.items()
    }
    assert set(operations) == {(PREFIX + row.path, row.method.lower()) for row in rows}
    assert served == document(rows, served["info"]["version"])
    refer = {each["$ref"].rpartition("/")[2] for each in _walk(served) if "$ref" in each}
    assert refer <= set(served["components"]["schemas"])


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Statuses, content types, bodies as documented; bad values refused, good ones not; never 5xx."""
    limits = {"rate_per_min": 100_000, "failures_per_min": 10_000, "max_tokens": 1000}
    async with console(tmp_path, administration=limits) as desk:
        await desk.admin.service.registry.beat("edge-1", report(region="default"))
        _, served, _ = await desk.call("GET", "/openapi.json")
        del served["security"]  # credentials are test_admin_refusals' matter: here everything else is wrong
        for row in desk.admin.endpoints:
            await asyncio.to_thread(_fuzz, desk, served, row)


def _fuzz(desk: Console, served: dict, row: Endpoint) -> None:
    schema = schemathesis.openapi.from_dict(served, config=schemathesis.Config.from_dict(CONFIG))
    operation = schema[PREFIX + row.path][row.method]
    takes = row.in_path or row.in_query or row.in_body or row.acts
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if takes else (GenerationMode.POSITIVE,)
    for mode in modes:
        with requests.Session() as session:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=CASES,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def every(case: schemathesis.Case) -> None:
                case.call_and_validate(
                    base_url=desk.url, session=session, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
                )

            every()


def _walk(node: object):
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _walk(each)
