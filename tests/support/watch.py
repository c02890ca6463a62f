"""An edge's watch as tests want it."""

from edge.beacon.watch import EdgeWatch


def edge_watch(
    *, listens: bool = True, speaks: bool = False, connections: int = 1, most: int = 100, mbps: int = 1000
) -> EdgeWatch:
    """One whose worker has so many connections of as many as it may have."""
    return EdgeWatch(lambda: (connections, most), name="edge-1", mbps=mbps, listens=listens, speaks=speaks)
