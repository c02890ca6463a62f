"""The short path for polls: the same answers as aiohttp's, and every other request still aiohttp's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from configs.schema.control import ControlSettings
from control.api.app import public_app
from control.api.door import MOST_BYTES, Doors
from control.api.service import Service
from control.main import building
from control.steering.session import Session
from kit.clock import SystemClock
from kit.service import listening
from tests.control.support import report, until
from tests.support.redis import RedisServer

CLOCK = SystemClock()
SESSION = Session("s1", "bbb", "default", "192.0.2.0/24", ("a", "b"))
HEAD = "GET {} HTTP/1.1\r\nHost: c\r\nOrigin: http://page.test\r\nUser-Agent: x\r\n{}\r\n"


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(fields.get("content-length", "0")))
        return int(first.split()[1]), fields, body

    async def ask(self, target: str, more: str = "") -> tuple[int, dict[str, str], bytes]:
        await self.send(HEAD.format(target, more))
        return await self.answer()

    async def ends(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


class Control:
    """One control with a door, and the same without one."""

    def __init__(self, service: Service, ports: tuple[int, int], doors: list[Doors]) -> None:
        self.service, self.ports, self.doors = service, ports, doors
        url = service.live.url(SESSION)
        assert url is not None
        self.path = url.removeprefix("http://127.0.0.1:8100")

    @asynccontextmanager
    async def client(self, *, door: bool = True) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[0 if door else 1])
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    made: list[Doors] = []

    def front(server) -> Doors:
        made.append(Doors(server, service.live, CLOCK, connections=3))
        return made[-1]

    async with (
        building(ControlSettings(fleet_key_file=tmp_path / "fleet"), CLOCK) as service,
        listening(public_app(service), "127.0.0.1", 0, front, drain_s=1) as fronted,
        listening(public_app(service), "127.0.0.1", 0, drain_s=1) as plain,
    ):
        for name in "ab":
            await service.registry.beat(name, report(region="default"))
        ports = int(fronted.rpartition(":")[2]), int(plain.rpartition(":")[2])
        yield Control(service, ports, made)


@pytest.mark.parametrize("query", ["", "?_HLS_pathway=B&_HLS_throughput=1", "?_DASH_pathway=%22A%22"])
async def test_both_paths_give_the_same_answer(control: Control, query: str) -> None:
    async with control.client() as door, control.client(door=False) as plain:
        status, fields, body = await door.ask(control.path + query)
        other_status, other_fields, other_body = await plain.ask(control.path + query)
        assert (status, json.loads(body)) == (other_status, json.loads(other_body))
        assert len(control.doors[0]) == 1, "it was the door's"
        for each in (fields, other_fields):
            assert len(each.pop("x-request-id")) == 32
            each.pop("date")
        other_fields.pop("server")
        assert fields == other_fields


async def test_many_on_one_connection_in_their_order(control: Control) -> None:
    ask = HEAD.format(control.path + "?_HLS_pathway={}", "")
    async with control.client() as client:
        await client.send("".join(ask.format("AB"[n % 2]) for n in range(20)))
        firsts = [json.loads((await client.answer())[2])["PATHWAY-PRIORITY"][0] for _ in range(20)]
        assert firsts == ["A", "B"] * 10


async def test_a_head_that_comes_byte_by_byte(control: Control) -> None:
    async with control.client() as client:
        for char in HEAD.format(control.path, "") * 2:
            await client.send(char)
        for _ in range(2):
            assert (await client.answer())[0] == 200
        assert len(control.doors[0]) == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /health HTTP/1.1\r\nHost: c\r\n\r\n", 200),
        ("GET /steer/abc HTTP/1.1\r\nHost: c\r\n\r\n", 403),
        ("GET {path}x HTTP/1.1\r\nHost: c\r\n\r\n", 403),
        ("POST {path} HTTP/1.1\r\nHost: c\r\nContent-Length: 0\r\n\r\n", 405),
        ("HEAD {path} HTTP/1.1\r\nHost: c\r\n\r\n", 200),
        ("GET {path} HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\nab", 200),
        ("GET {path} HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n", 200),
        ("GET {path} HTTP/1.0\r\nHost: c\r\n\r\n", 200),
        ("GET {path} HTTP/1.1\r\nHost: c\r\nX-Request-ID: mine\r\n\r\n", 200),
        ("GET {path} HTTP/1.1\r\nHost: c\r\nX: \x00\r\n\r\n", 400),
        ("NONSENSE\r\n\r\n", 400),
    ],
)
async def test_what_is_no_plain_poll_is_aiohttps(control: Control, request_: str, status: int) -> None:
    """And so is all behind it on the connection; before it the door answers."""
    async with control.client() as client:
        assert (await client.ask(control.path))[0] == 200
        await client.send(HEAD.format(control.path, "") + request_.format(path=control.path))
        assert (await client.answer())[0] == 200
        assert (await client.answer() if not request_.startswith("HEAD") else (status,))[0] == status
        assert len(control.doors[0]) == 0


async def test_a_poll_behind_another_request_is_answered_too(control: Control) -> None:
    async with control.client() as client:
        await client.send("GET /ready HTTP/1.1\r\nHost: c\r\n\r\n" + HEAD.format(control.path, ""))
        assert (await client.answer())[2] == b'{"ready":true}\n'
        assert json.loads((await client.answer())[2])["VERSION"] == 1


async def test_a_head_without_end_is_not_kept(control: Control) -> None:
    async with control.client() as client:
        await client.send("GET /steer/" + "x" * (MOST_BYTES + 200_000))
        assert (await client.answer())[0] == 400


async def test_connections_are_bounded(control: Control) -> None:
    async with control.client() as one, control.client() as two, control.client() as three:
        for each in (one, two, three):
            assert (await each.ask(control.path))[0] == 200
        async with control.client() as four:
            assert await four.ends()
        assert (await one.ask(control.path))[0] == 200
        await one.send("GET /ready HTTP/1.1\r\nHost: c\r\n\r\n")
        await one.answer()
        async with control.client() as five:
            assert (await five.ask(control.path))[0] == 200


async def test_who_reads_nothing_is_let_go(control: Control) -> None:
    async with control.client() as client:
        (door,) = control.doors
        ask = HEAD.format(control.path, "") * 200
        with pytest.raises(ConnectionError):
            while True:
                await client.send(ask)
        await until(lambda: len(door) == 0)


async def test_polls_are_answered_while_redis_is_killed_and_started_again(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    """Issue 5, Must show: no failed steering answer; the last known order until Redis is back."""
    settings = ControlSettings(fleet_key_file=tmp_path / "fleet", redis_url=own_redis.url)
    async with (
        building(settings, CLOCK) as service,
        listening(
            public_app(service), "127.0.0.1", 0, lambda server: Doors(server, service.live, CLOCK), drain_s=1
        ) as url,
    ):
        for name in "ab":
            await service.registry.beat(name, report(region="default"))
        await until(lambda: {"a", "b"} <= set(service.registry.map().nodes))
        control = Control(service, (int(url.rpartition(":")[2]), 0), [])
        async with control.client() as client:
            for change, state in ((own_redis.kill, "away"), (own_redis.start, "up")):
                await asyncio.to_thread(change)
                while service.registry.state().redis != state:
                    for name in "ab":
                        await service.registry.beat(name, report(region="default"))
                    status, _, body = await client.ask(control.path + "?_HLS_pathway=A")
                    assert (status, json.loads(body)["PATHWAY-PRIORITY"]) == (200, ["A", "B"])


async def test_answers_are_counted_by_what_became_of_the_session(control: Control) -> None:
    async with control.client() as client:
        await client.ask(control.path)
        await control.service.registry.leave("a")
        await client.ask(control.path + "?_HLS_pathway=A")
        await client.send("GET /metrics HTTP/1.1\r\nHost: c\r\n\r\n")
        text = (await client.answer())[2].decode()
    assert 'headrace_control_steered_total{why="stays"} 1.0' in text
    assert 'headrace_control_steered_total{why="down"} 1.0' in text
