"""Is this process well (`/health`), may it be asked (`/ready`), and its figures (`/metrics`)."""

from collections import Counter
from dataclasses import asdict

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from control.api.errors import json
from control.api.service import Service


def routes(service: Service) -> list[web.RouteDef]:
    """The three endpoints, the same on both listeners."""

    async def health(_: web.Request) -> web.Response:
        return json(_health(service))

    async def ready(_: web.Request) -> web.Response:
        return json({"ready": True})

    async def metrics(_: web.Request) -> web.Response:
        service.metrics.tell(service.orders.asking, service.orders.state().staged, service.monitor.state())
        text = service.metrics.render(service.registry, service.clock, service.settings.expiry_s)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/health", health), web.get("/ready", ready), web.get("/metrics", metrics)]


def _health(service: Service) -> dict[str, object]:
    """Redis away, or too few nodes heard to believe it, is `degraded`, not down: the last known map goes on answering,
    and the last known orders."""
    nodes, state, now = service.registry.map(), service.registry.state(), service.clock.monotonic()
    orders, monitor = service.orders.state(), service.monitor.state()
    alive = [node for node in nodes.nodes.values() if node.alive(now, service.settings.expiry_s)]
    regions: dict[str, Counter[str]] = {name: Counter() for name in service.settings.regions}
    for node in alive:  # once: anybody may ask, and there may be ten thousand
        regions.setdefault(node.region, Counter())[node.role] += 1
    doubts = "away" in (state.redis, orders.redis) or monitor.abstaining_s is not None or monitor.blind
    return {
        "status": "degraded" if doubts else "ok",
        "process": "control",
        "registry": {"kind": state.kind, "redis": state.redis, "awayS": state.away_s, "error": state.error},
        "orders": {**asdict(orders), "following": service.orders.asking},
        "monitor": asdict(monitor),
        "enrolment": asdict(service.enrolment.state()),
        "mapVersion": nodes.version,
        "geo": service.geo.health() | {"defaultRegion": service.settings.default_region},
        "history": asdict(service.history.state()),
        "votes": {"rows": len(service.votes), "error": service.shared.error if service.shared else None},
        "regions": regions,
        "steering": service.live.base,
        "heldNodes": sum(node.held for node in alive),
        "policy": {key: value for key, value in asdict(service.policy).items() if key != "next"},
    }
