"""What control's tests share: reports, rows of the map, waiting on a condition."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from control.contract.messages import LoadParts, Report
from control.registry.model import Node, NodeMap

NOW = 1000.0


def report(load: float = 10.0, **changes: Any) -> Report:
    """An edge's heartbeat; the load is its CPU's."""
    fields = {"role": "edge", "url": "http://127.0.0.1:8301", "region": "east", "started": 1.0}
    return Report(**fields | {"load": LoadParts(cpu=load)} | changes)


def node(name: str, load: float = 10.0, **changes: Any) -> Node:
    """A row of the map, of an edge in region east that reported just now."""
    fields: dict[str, Any] = {
        "id": name,
        "role": "edge",
        "url": f"http://{name}.test",
        "region": "east",
        "load": load,
        "capacity_mbps": 1000,
        "connections": 0,
        "egress_mbps": 0.0,
        "version": "1",
        "draining": False,
        "reserve": False,
        "started": 1.0,
        "seen": NOW,
    }
    return Node(**fields | changes)


def picture(*nodes: Node, version: int = 1) -> NodeMap:
    """A map of these nodes."""
    return NodeMap(version, 0, {each.id: each for each in nodes})


async def until(condition: Callable[[], object], *, deadline_s: float = 10.0) -> None:
    """Wait for `condition`, or fail."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"still not so after {deadline_s} s"
        await asyncio.sleep(0.01)
