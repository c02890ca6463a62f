"""What the API process counts, in a registry of its own. Labels are closed sets."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.3, 1.0, 3.0, 10.0)
"""With the edges that the alerts on manifests and starts are set at (MAN-15)."""


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Answers by listener and status class.", "listener", "status")
        self.errors = self._counter("errors", "Errors by listener and kind.", "listener", "kind")
        self.sent = self._counter("sent_bytes", "Body bytes sent.", "listener")
        self.edges = self._counter(
            "edge_choices", "Edges chosen for sessions, by where the choice came from.", "source"
        )
        self.seconds = Histogram(
            "headrace_origin_request_seconds",
            "Time from head to end of the answer.",
            ["listener"],
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def render(self) -> bytes:
        """The Prometheus text of all of it."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"headrace_origin_{name}", text, labels, registry=self.registry)
