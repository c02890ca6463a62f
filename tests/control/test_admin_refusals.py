"""Every endpoint of the admin API refuses what it must, and says so in the audit log (issue 5, SEC, OBS-21). The rows
come from the table that serves: a new endpoint is covered by being there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control.admin.endpoint import PREFIX, Endpoint
from control.admin.roles import Area, Role
from control.admin.trail import Outcome, broken
from kit.clock import ManualClock
from tests.control.admin_client import Console, console, fresh, path_of

BELOW = {Role.OPERATOR: Role.VIEWER, Role.ADMIN: Role.OPERATOR}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Console]:
    async with console(tmp_path, administration={"rate_per_min": 10_000, "failures_per_min": 1000}) as made:
        yield made


async def refused(desk: Console, endpoint: Endpoint, status: int, reason: str, **call: object) -> None:
    """The call gets `status` with `reason`, and the audit log has it."""
    got, document, headers = await desk.call(endpoint.method, path_of(endpoint), **call)
    assert (got, document["error"]) == (status, reason), endpoint.id
    entry = (await desk.entries())[-1]
    assert (entry.action, entry.status, entry.reason) == (endpoint.id, status, reason)
    assert entry.outcome is Outcome.REFUSED
    assert entry.request_id == headers["X-Request-ID"]
    assert entry.target == f"{endpoint.method} {PREFIX}{path_of(endpoint)}"


async def test_no_credential(desk: Console) -> None:
    for endpoint in desk.admin.endpoints:
        await refused(desk, endpoint, 401, "no_credential", token=None)
        await refused(desk, endpoint, 401, "no_credential", token="hra_0123456789ab_" + "x" * 43)


async def test_a_wrong_role(desk: Console) -> None:
    """Each endpoint with the next role below its own; and every one has a role that reaches it."""
    tokens = {role: await desk.token(role) for role in Role}
    for endpoint in desk.admin.endpoints:
        if endpoint.role in BELOW:
            await refused(desk, endpoint, 403, "forbidden", token=tokens[BELOW[endpoint.role]])
        status, _, _ = await desk.call(endpoint.method, path_of(endpoint), token=tokens[endpoint.role])
        assert status not in (401, 403), endpoint.id


async def test_a_token_held_to_another_area(desk: Console) -> None:
    tokens = {area: await desk.token(Role.ADMIN, area) for area in Area}
    for endpoint in desk.admin.endpoints:
        if endpoint.area is not Area.API:
            other = next(area for area in Area if area not in (endpoint.area, Area.API))
            await refused(desk, endpoint, 403, "forbidden", token=tokens[other])


async def test_an_expired_token(desk: Console) -> None:
    text = await desk.token(Role.ADMIN, lifetime_s=60)
    assert isinstance(desk.clock, ManualClock)
    desk.clock.advance(60)
    for endpoint in desk.admin.endpoints:
        await refused(desk, endpoint, 401, "token_expired", token=text)


async def test_a_replayed_idempotency_key_with_another_body(desk: Console) -> None:
    """IDM-02: 422, whether or not the body is one that the endpoint would take."""
    await desk.call("POST", "/tokens", json={"name": "a", "role": "viewer"}, Idempotency_Key="used")
    for endpoint in desk.admin.endpoints:
        if endpoint.acts:
            body = {"other": True}
            await refused(desk, endpoint, 422, "idempotency_key_reused", json=body, Idempotency_Key="used")


async def test_a_rate_above_the_limit(tmp_path: Path) -> None:
    """RAT-06, RAT-10, RAT-11: 429 says when the next call fits; refused calls are not counted."""
    async with console(tmp_path, administration={"rate_per_min": 2, "burst": 1}) as desk:
        for endpoint in desk.admin.endpoints:
            token = await desk.token(Role.ADMIN)
            for _ in range(3):
                status, _, headers = await desk.call("GET", "/whoami", token=token)
            assert (status, headers["X-RateLimit-Remaining"], headers["X-RateLimit-Limit"]) == (200, "0", "3")
            await refused(desk, endpoint, 429, "too_many_requests", token=token)
            _, document, headers = await desk.call("GET", "/whoami", token=token)
            assert headers["Retry-After"] == str(document["retryAfter"]) == "60"
            assert headers["RateLimit"] == '"admin";r=0;t=60'


async def test_the_log_of_all_this_is_whole(desk: Console) -> None:
    """OBS-22: what was refused is chained as what was done."""
    for endpoint in desk.admin.endpoints:
        await desk.call(endpoint.method, path_of(endpoint), token=None)
        await desk.call(endpoint.method, path_of(endpoint), Idempotency_Key=fresh())
    entries = await desk.entries()
    assert broken(entries) is None
    acts = sum(endpoint.acts for endpoint in desk.admin.endpoints)
    assert len(entries) == len(desk.admin.endpoints) + acts
    changed = [each.model_copy(update={"actor": "nobody"}) if each.seq == 3 else each for each in entries]
    assert broken(changed) == 3
    assert broken([each for each in entries if each.seq != 5]) == 6


async def test_guessing_credentials_is_slowed_down_and_counted(tmp_path: Path) -> None:
    """A flood of refused calls does not wash the log away: the rest is a number in the next entry."""
    async with console(tmp_path, administration={"failures_per_min": 5}) as desk:
        answers = [(await desk.call("GET", "/nodes", token=None))[0] for _ in range(20)]
        assert answers == [401] * 5 + [429] * 15
        assert len(await desk.entries()) == 5
        await desk.call("POST", "/tokens", json={"name": "a", "role": "viewer"})
        assert (await desk.entries())[-1].suppressed == 15
