"""The admin API over a Redis that dies: two control processes share tokens, keys and one audit log; while Redis is away
reads go on, nothing is done twice, and what was done is on record when it is back."""

from pathlib import Path

from control.admin.roles import Role
from control.admin.trail import broken
from kit.clock import SystemClock
from tests.control.admin_client import console
from tests.support.redis import RedisServer


async def test_two_control_processes_are_one(redis_server: RedisServer, tmp_path: Path) -> None:
    shared = {"redis_url": redis_server.url, "clock": SystemClock()}
    async with console(tmp_path, **shared) as one, console(tmp_path, **shared) as two:
        token = await one.token(Role.ADMIN)
        body = {"kind": "avoid", "edge": "edge-1", "lifetimeS": 60}
        path = "/steering/overrides"
        first = await one.call("POST", path, token=token, json=body, Idempotency_Key="k")
        again = await two.call("POST", path, token=token, json=body, Idempotency_Key="k")
        assert (first[0], again[0], again[2]["Idempotent-Replayed"]) == (201, 201, "true")
        assert first[1] == again[1]
        assert (await two.call("POST", path, token=token, json=body | {"edge": "b"}, Idempotency_Key="k"))[0] == 422
        entries = await two.entries()
        assert [(each.outcome, each.status) for each in entries] == [("done", 201), ("replayed", 201), ("refused", 422)]
        assert broken(entries) is None
        assert await one.entries() == entries
        await one.admin.store.drop_token(token[4:16])
        two.admin.access.learn(token[4:16], None)  # as after FRESH_S
        assert (await two.call("GET", "/whoami", token=token))[0] == 401


async def test_redis_away_reads_go_on_and_nothing_is_lost_of_the_record(own_redis: RedisServer, tmp_path: Path) -> None:
    """RAT-15: limits are counted here; a key cannot be promised, so a call with one is 503; refusals wait."""
    async with console(tmp_path, redis_url=own_redis.url, clock=SystemClock()) as desk:
        token = await desk.token(Role.VIEWER)
        assert (await desk.call("GET", "/nodes", token=token))[0] == 200
        own_redis.kill()
        assert (await desk.call("GET", "/nodes", token=token))[0] == 200
        assert (await desk.call("GET", "/nodes"))[0] == 200
        assert (await desk.call("POST", "/purge", token=token, json={"tag": "a"}))[0] == 403
        status, document, headers = await desk.call("POST", "/purge", json={"tag": "a"}, Idempotency_Key="k")
        assert (status, document["error"], headers["Retry-After"]) == (503, "admin_store_away", "2")
        assert desk.admin.audit.waiting == 2
        own_redis.start()
        status, document, _ = await desk.call("GET", "/audit")
        assert [(each["action"], each["outcome"]) for each in document["entries"]] == [
            ("orders.purge", "failed"),
            ("orders.purge", "refused"),
        ]
        assert document["waiting"] == 0
