"""Control's counters, rendered for Prometheus."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from control.health.monitor import MonitorState
from control.registry.model import Registry
from kit.clock import Clock


class _Steered(Collector):
    """Plain integers of the short path, as Prometheus wants them."""

    def __init__(self, metrics: "Metrics") -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See Collector."""
        text = "Answers to players that asked for steering, by what became of their session"
        family = CounterMetricFamily("headrace_control_steered", text, labels=["why"])
        for why, count in sorted(self._metrics.steered().items()):
            family.add_metric([str(why)], count)
        yield family


class Metrics:
    """One process's metrics in a registry of their own."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        self.heartbeats = self._counter("heartbeats", "Heartbeats taken", "role")
        self.refused = self._counter("refused", "Requests refused, by reason", "reason")
        self.votes = self._counter("votes", "Votes of sessions taken from edges, by class of stream", "stream")
        self.stalled = self._counter("stalled_votes", "Those of sessions whose buffer ran empty", "stream")
        self.trips = self._counter("round_trips", "Round trips of client networks taken from edges")
        self.errors = self._counter("errors", "Requests answered with an error, by its kind", "kind")
        self.choices = self._counter("choices", "Sessions steered, by the step that found the first candidate", "why")
        self.admin = self._counter("admin_calls", "Calls of the admin API and the console", "endpoint", "outcome")
        self.acks = self._counter("acks", "Orders that nodes acknowledged, by outcome", "outcome")
        self._following = self._gauge("orders_following", "Nodes that wait for orders here")
        self._staged = self._gauge("orders_staged", "Purges that edges were not told of yet")
        self._judged = self._gauge("nodes_judged", "Nodes that are not up, by state (20 of each at most)", "state")
        self._abstaining = self._gauge("abstaining", "1 while silent nodes are kept because too many are silent")
        self.steered: Callable[[], Mapping[str, int]] = dict
        """Answers to players that polled, by what became of their session."""
        self._all.register(_Steered(self))
        self._nodes = self._gauge("nodes", "Nodes in the map", "region", "role")
        self._version = self._gauge("map_version", "Version of the map")
        self._away = self._gauge("redis_away_seconds", "How long Redis has been away; 0 while it answers")

    def render(self, registry: Registry, clock: Clock, expiry_s: float) -> bytes:
        """The exposition text, with the gauges taken from the map now."""
        nodes, now = registry.map(), clock.monotonic()
        self._nodes.clear()
        for node in nodes.nodes.values():
            if node.alive(now, expiry_s):
                self._nodes.labels(node.region, node.role).inc()
        self._version.set(nodes.version)
        self._away.set(registry.state().away_s or 0)
        return generate_latest(self._all)

    def tell(self, following: int, staged: int, monitor: MonitorState) -> None:
        """The gauges of orders and health, as they are now."""
        self._following.set(following)
        self._staged.set(staged)
        self._judged.labels("down").set(len(monitor.down))
        self._judged.labels("degraded").set(len(monitor.degraded))
        self._abstaining.set(monitor.abstaining_s is not None)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"headrace_control_{name}", text, labels, registry=self._all)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"headrace_control_{name}", text, labels, registry=self._all)
