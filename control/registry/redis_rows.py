"""Nodes as Redis keeps them: rows in, rows out. Every failure of Redis passes through as it is."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from control.connected import connected
from control.contract.messages import Answers
from control.registry.model import Node, refreshed, standing
from control.registry.scripts import BEAT, LEAVE, READ
from kit.clock import Clock

CONNECTIONS = 64
CHUNK = 200
"""Nodes told in one round trip after an outage."""


class RedisRows:
    """The map's rows. One per process."""

    def __init__(
        self, redis: Redis, clock: Clock, *, regions: Sequence[str], expiry_s: float, limits: tuple[float, ...]
    ) -> None:
        self._redis, self._clock = redis, clock
        self._expiry_s, self._expiry_ms, self._limits = expiry_s, int(expiry_s * 1000), limits
        self._regions: dict[str, tuple[int, dict[str, Node]]] = {name: (-1, {}) for name in regions}
        self._beat, self._leave, self._read = (redis.register_script(text) for text in (BEAT, LEAVE, READ))

    @classmethod
    def connect(
        cls, url: str, clock: Clock, *, regions: Sequence[str], expiry_s: float, limits: tuple[float, ...]
    ) -> Self:
        """Rows at `url`; nothing is sent yet."""
        redis = connected(url, connections=CONNECTIONS)
        return cls(redis, clock, regions=regions, expiry_s=expiry_s, limits=limits)

    async def beat(self, node: Node, known: int) -> int:
        """Write one heartbeat; the map version, never below `known`."""
        return int(await self._beat(args=self._beat_args(node, known)))

    async def leave(self, node_id: str, known: int) -> int:
        """Remove one node; the map version."""
        return int(await self._leave(args=[node_id, known]))

    async def tell(self, nodes: Iterable[Node], gone: Iterable[str], known: int) -> None:
        """Write many heartbeats and farewells, some hundred a round trip. Fails when Redis is away, with none too."""
        await self._redis.exists("map:version")
        calls: list[tuple[AsyncScript, list[str | int | float]]]
        calls = [(self._leave, [id_, known]) for id_ in gone]
        calls += [(self._beat, self._beat_args(node, known)) for node in nodes]
        for start in range(0, len(calls), CHUNK):
            async with self._redis.pipeline(transaction=False) as pipe:
                for script, args in calls[start : start + CHUNK]:
                    await script(args=args, client=pipe)
                await pipe.execute()

    async def read(self, known: int, *, whole: bool = False) -> tuple[int, dict[str, Node]]:
        """(map version, all nodes). Figures other than load are as of the last version change unless `whole`.

        The version is the oldest that any region was read at: a change between two regions shows at the next read.
        """
        versions = []
        for region, (has, nodes) in self._regions.items():
            answer = await self._read(args=[region, self._expiry_ms, -1 if whole else has, known])
            version, fresh = self._region(answer, nodes)
            self._regions[region] = (version, fresh)
            versions.append(version)
        return min(versions), {id_: node for _, nodes in self._regions.values() for id_, node in nodes.items()}

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _beat_args(self, node: Node, known: int) -> list[str | int | float]:
        fields: dict[str, str | int | float] = {
            "role": node.role,
            "url": node.url,
            "region": node.region,
            "load": node.load,
            "capacity": node.capacity_mbps,
            "connections": node.connections,
            "egress": node.egress_mbps,
            "version": node.version,
            "draining": int(node.draining),
            "reserve": int(node.reserve),
            "started": node.started,
            "probe": node.probe,
            "snapshot": node.snapshot,
            "snapshot_error": node.snapshot_error,
            "answers": " ".join(f"{each:.3f}" for each in _figures(node.answers)),
        }
        head: list[str | int | float]
        head = [node.id, node.region, node.load, self._expiry_ms, known, standing(node, self._limits)]
        return [*head, *(part for pair in fields.items() for part in pair)]

    def _region(self, answer: list[Any], old: dict[str, Node]) -> tuple[int, dict[str, Node]]:
        now_ms, version, seen, loads, rows = answer
        here = self._clock.monotonic()
        moments = {id_: here - (int(now_ms) - float(ms)) / 1000 for id_, ms in zip(seen[::2], seen[1::2], strict=True)}
        by_load = {id_: float(load) for id_, load in zip(loads[::2], loads[1::2], strict=True)}
        if rows:
            known = {id_: _node(id_, row, moments[id_]) for id_, row in zip(moments, rows, strict=True) if row}
        else:
            known = {id_: node for id_, node in old.items() if id_ in moments}
        return version, {id_: refreshed(node, by_load.get(id_, node.load), moments[id_]) for id_, node in known.items()}


def _node(node_id: str, flat: list[str], seen: float) -> Node:
    row = dict(zip(flat[::2], flat[1::2], strict=True))
    return Node(
        id=node_id,
        role=row["role"],
        url=row["url"],
        region=row["region"],
        load=float(row["load"]),
        capacity_mbps=int(row["capacity"]),
        connections=int(row["connections"]),
        egress_mbps=float(row["egress"]),
        version=row["version"],
        draining=row["draining"] == "1",
        reserve=row["reserve"] == "1",
        started=float(row["started"]),
        seen=seen,
        probe=row.get("probe", ""),
        answers=_answers(row.get("answers", "")),
        snapshot=int(row.get("snapshot", 0)),
        snapshot_error=row.get("snapshot_error", ""),
    )


def _figures(answers: Answers) -> tuple[float, float, float, float]:
    return answers.all, answers.hits, answers.misses, answers.errors


def _answers(text: str) -> Answers:
    """A row that an older control process wrote has none."""
    figures = [float(each) for each in text.split()]
    return Answers(all=figures[0], hits=figures[1], misses=figures[2], errors=figures[3]) if figures else Answers()
