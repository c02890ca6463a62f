"""One-time tokens, credentials, revocation: issue 5, part 1; SEC-07."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from configs.schema.base import NodeIdentity
from control.contract import orders
from control.contract.credential import Credential, CredentialRefused
from control.contract.enrolment import ENROL_PATH, EnrolRequest
from control.contract.messages import HEARTBEAT_PATH, HeartbeatAnswer
from control.contract.orders import Revoke
from control.enrolment.memory import MemoryRoll
from control.enrolment.model import MAX_REVOKED, EnrolmentAway, TooManyRevoked, TooManyTokens
from control.enrolment.redis_form import RedisRoll
from control.enrolment.service import Enrolment, EnrolmentRefused, NodeRevoked
from control.node.enrol import fetch
from control.node.link import ControlLink
from control.orders.model import TooManyOrders
from kit.clock import ManualClock
from kit.errors import SettingsError, UpstreamFailed
from origin.contract.headers import REFUSAL_BODY
from tests.control.ordering import CLOCK, Fleet, fleet
from tests.control.support import report, until
from tests.control.test_orders_redis import replica
from tests.support.installation import ROOT
from tests.support.redis import RedisServer


@pytest.fixture(params=["memory", "redis"])
async def control(request: pytest.FixtureRequest, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Fleet]:
    form: dict[str, Any] = {"redis_url": redis_server.url} if request.param == "redis" else {}
    async with fleet(tmp_path, **form) as running:
        yield running


async def enrolled(control: Fleet, node_id: str = "edge-1") -> ControlLink:
    """A node with a credential that it got from control."""
    token = await control.service.enrolment.invite(node_id, "edge", by="ops")
    credential = await fetch(control.url, EnrolRequest(token=token, id=node_id, role="edge"))
    file = control.directory / f"{credential.name}.json"
    credential.save(file)
    identity = NodeIdentity(id=node_id, credential=file, control=control.url)
    return ControlLink(identity, "edge", CLOCK, control.session)


async def beat(link: ControlLink) -> None:
    await link.post(HEARTBEAT_PATH.format(id=link.id), report(), HeartbeatAnswer, timeout_s=5)


async def test_a_token_is_good_once_for_its_node(control: Fleet) -> None:
    enrolment = control.service.enrolment
    token = await enrolment.invite("edge-1", "edge", by="ops")
    assert [(each.id, each.role, each.by) for each in await enrolment.invited()] == [("edge-1", "edge", "ops")]
    for node_id, role in (("edge-2", "edge"), ("edge-1", "shield")):
        with pytest.raises(EnrolmentRefused):
            await enrolment.enrol(token, node_id, role)
    credential = await enrolment.enrol(token, "edge-1", "edge")
    assert (credential.id, credential.role, set(credential.secrets)) == ("edge-1", "edge", {"shield", "control"})
    with pytest.raises(EnrolmentRefused):
        await enrolment.enrol(token, "edge-1", "edge")
    assert await enrolment.invited() == ()


async def test_an_enrolled_node_reports_until_it_is_revoked_and_may_come_again(control: Fleet) -> None:
    """Its other names, those derived for the demo too, are refused with it; other nodes are not."""
    one, two, other = await enrolled(control), await enrolled(control), await enrolled(control, "edge-2")
    derived = control.link("edge-1")
    for link in (one, two, other, derived):
        await beat(link)
    names = await control.service.enrolment.revoke("edge-1", by="ops")
    assert len(names) == 3
    assert set((await control.service.registry.roster()).nodes) == {"edge-2"}
    for link in (one, two, derived):
        with pytest.raises(UpstreamFailed, match="403"):
            await beat(link)
    await beat(other)
    await beat(await enrolled(control))


async def test_shields_hear_of_it_edges_need_not(control: Fleet) -> None:
    """A lost edge must not fill from a shield. Revoked again: the same orders."""
    link = await enrolled(control)
    name = Credential.load(next(control.directory.glob("edge-1:*.json"))).name
    async with control.node("shield-1") as (_, shield), control.node("edge-2") as (_, edge):
        await control.service.enrolment.revoke(link.id, by="ops")
        await until(lambda: set(shield.refused.get("node", ())) == {"edge-1", name})
        await control.service.enrolment.revoke(link.id, by="ops")
        assert len(await control.service.orders.list()) == 2
        assert edge.refused == {}


async def test_a_credential_with_a_serial_passes_a_shield(control: Fleet) -> None:
    """The tiers derive its secret from what signs: `id:serial`."""
    shield = control.service.enrolment
    made = await shield.enrol(await shield.invite("shield-1", "shield"), "shield-1", "shield")
    edge = await shield.enrol(await shield.invite("edge-1", "edge"), "edge-1", "edge")
    value = edge.sign("shield", method="GET", target="/a", now=CLOCK.wall())
    assert made.check(value, method="GET", target="/a", now=CLOCK.wall()) == edge.name
    stolen = value.replace(edge.name, "edge-1")
    with pytest.raises(CredentialRefused):
        made.check(stolen, method="GET", target="/a", now=CLOCK.wall())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (EnrolRequest(token="A" * 43, id="edge-1", role="edge").encode(), 403),
        (b'{"token":"short","id":"edge-1","role":"edge"}', 400),
        (b'{"token":"' + b"A" * 43 + b'","id":"../x","role":"edge"}', 400),
        (b'{"token":"' + b"A" * 43 + b'","id":"edge-1","role":"control"}', 400),
        (b"", 400),
    ],
)
async def test_whoever_has_no_token_gets_nothing(control: Fleet, body: bytes, status: int) -> None:
    """SEC-07: the constant refusal; the answer never repeats a token."""
    async with control.session.post(control.url + "/api/v1/nodes/enrol", data=body) as response:
        answer = await response.read()
        assert response.status == status
    assert b"A" * 43 not in answer
    assert status == 400 or answer == REFUSAL_BODY


async def test_tokens_end(control: Fleet) -> None:
    clock = ManualClock(CLOCK.wall())
    roll = control.service.enrolment._roll
    enrolment = Enrolment(b"k" * 32, roll, control.service.registry, clock)
    token = await enrolment.invite("edge-1", "edge", seconds=60)
    clock.advance(61)
    assert await enrolment.invited() == ()
    with pytest.raises(EnrolmentRefused):
        await enrolment.enrol(token, "edge-1", "edge")


async def test_tokens_are_bounded_and_those_that_ended_make_room(
    control: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in ("memory", "redis_form"):
        monkeypatch.setattr(f"control.enrolment.{form}.MAX_TOKENS", 2)
    clock = ManualClock()
    enrolment = Enrolment(b"k" * 32, control.service.enrolment._roll, control.service.registry, clock)
    for _ in range(2):
        await enrolment.invite("edge-1", "edge", seconds=60)
    with pytest.raises(TooManyTokens):
        await enrolment.invite("edge-1", "edge")
    clock.advance(61)
    await enrolment.invite("edge-1", "edge")


async def test_only_the_hash_of_a_token_is_kept(tmp_path: Path, redis_server: RedisServer) -> None:
    async with fleet(tmp_path, redis_url=redis_server.url) as control:
        token = await control.service.enrolment.invite("edge-1", "edge")
        redis = control.service.enrolment._roll._redis
        for key in await redis.keys("enrol:*"):
            dump = repr(await (redis.hgetall(key) if key == "enrol:tokens" else redis.zrange(key, 0, -1)))
            assert token not in dump


async def test_a_revocation_is_known_to_every_replica_within_a_second(tmp_path: Path, redis_server) -> None:
    async with fleet(tmp_path, redis_url=redis_server.url) as one, replica(one, redis_server.url) as two:
        token = await one.service.enrolment.invite("edge-1", "edge")
        name = (await two.service.enrolment.enrol(token, "edge-1", "edge")).name
        two.service.enrolment.check(name)
        await one.service.enrolment.revoke("edge-1")

        def refused() -> bool:
            with contextlib.suppress(NodeRevoked):
                two.service.enrolment.check(name)
                return False
            return True

        await until(refused, deadline_s=5)


@pytest.mark.processes
async def test_what_was_revoked_stays_refused_whatever_redis_does(own_redis: RedisServer) -> None:
    """Away: still refused, and nothing can be written. Back and empty: Redis is told again."""
    roll = RedisRoll.connect(own_redis.url)
    await roll.start()
    await roll.revoke("edge-1")
    own_redis.kill()
    await until(lambda: roll.state().redis == "away")
    assert "edge-1" in roll.revoked
    with pytest.raises(EnrolmentAway):
        await roll.revoke("edge-2")
    own_redis.start()
    await until(lambda: roll.state().redis == "up")
    another = RedisRoll.connect(own_redis.url)
    await another.start()
    assert "edge-1" in another.revoked
    await another.close()
    await roll.close()


async def test_a_credential_is_not_sent_over_plain_http() -> None:
    """contracts.md: HTTPS required off loopback."""
    with pytest.raises(SettingsError):
        await fetch("http://10.0.0.1:8100", EnrolRequest(token="A" * 43, id="edge-1", role="edge"))


def test_credentials_of_before_have_no_serial(tmp_path: Path) -> None:
    """And one without is written as before: nodes of both versions read it."""
    (tmp_path / "old").write_text('{"id": "edge-1", "role": "edge", "secrets": {}, "accepts": {}}')
    assert Credential.load(tmp_path / "old").name == "edge-1"
    Credential.load(tmp_path / "old").save(tmp_path / "new")
    assert (tmp_path / "new").read_text() == (tmp_path / "old").read_text()


async def test_the_command_writes_the_credential(control: Fleet) -> None:
    """`headrace enrol`: mode 600; a used token is refused and says so."""
    place = control.directory
    (place / "token").write_text(await control.service.enrolment.invite("edge-1", "edge"))
    command = [sys.executable, "-m", "headrace.main", "enrol", "--control", control.url, "--node", "edge-1"]
    command += ["--role", "edge", "--token-file", str(place / "token"), "--out", str(place / "edge-1.json")]
    for code in (0, 1):
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
        _, said = await process.communicate()
        assert process.returncode == code, said
        assert (place / "edge-1.json").stat().st_mode & 0o777 == 0o600
        assert Credential.load(place / "edge-1.json").id == "edge-1"
    assert b"403" in said


async def test_shields_hear_of_every_name_though_they_could_not_be_told_at_first(
    control: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revoked, and then no order could be issued: whoever asks again, as he is told to, tells shields of all names."""
    link = await enrolled(control)
    name = Credential.load(next(control.directory.glob("edge-1:*.json"))).name
    monkeypatch.setattr("control.orders.memory.MAX_REVOKED", 0)
    monkeypatch.setattr("control.orders.redis_rows.MAX_REVOKED", 0)
    with pytest.raises(TooManyOrders):
        await control.service.enrolment.revoke(link.id, by="ops")
    monkeypatch.undo()
    assert set(await control.service.enrolment.revoke(link.id, by="ops")) == {"edge-1", name}
    told = [each.order.command for each in await control.service.orders.list()]
    assert {each.what for each in told if isinstance(each, Revoke)} == {"edge-1", name}


async def test_a_flood_of_tokens_that_are_none_keeps_no_revocation_back(own_redis: RedisServer, tmp_path: Path) -> None:
    """Anybody may ask to enrol. A replica hears of revocations all the same."""
    asked = EnrolRequest(token="t" * 43, id="edge-9", role="edge").encode()
    over = asyncio.Event()
    async with fleet(tmp_path, redis_url=own_redis.url) as one, replica(one, own_redis.url) as two:

        async def flood() -> None:
            while not over.is_set():
                async with one.session.post(two.url + ENROL_PATH, data=asked) as response:
                    assert response.status in (403, 503)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(100):
                tasks.create_task(flood())
            await asyncio.sleep(0)
            await one.service.enrolment.revoke("edge-1")
            try:
                await until(lambda: two.service.enrolment.state().revoked == 1)
                assert two.service.enrolment.state().redis == "up"
            finally:
                over.set()


async def test_a_node_that_shields_could_not_be_told_of_is_not_half_revoked(tmp_path: Path) -> None:
    """The roll is full before the shields are: then a new fleet key is due, and nothing was done."""
    assert MAX_REVOKED < orders.MAX_REVOKED
    async with fleet(tmp_path) as control:
        roll = MemoryRoll()
        roll.revoked = {f"edge-{n}" for n in range(MAX_REVOKED)}
        enrolment = Enrolment(b"k" * 32, roll, control.service.registry, CLOCK, control.service.orders)
        with pytest.raises(TooManyRevoked):
            await enrolment.revoke("edge-more")
        enrolment.check("edge-more")
        assert await control.service.orders.list() == ()
