"""Active health: every server of the next tier is asked now and then whether it is there.

Requests of viewers tell the same (chooser), but only for servers that they are sent to, and by failing. So a server
that went while nobody asked is known before somebody does, and one that came back is used again at once.
"""

import asyncio

from kit.clock import Clock
from kit.metrics import Family, Row
from proxy.upstream.client import Client

METRICS = (
    Family("headrace_upstreams_unwell", "Servers asked last or not at all, each worker's count", "gauge"),
    Family("headrace_probes_total", "Probes of servers", label="outcome", values=("answered", "silent")),
)


async def watch(client: Client, clock: Clock, row: Row, every_s: float) -> None:
    """Probe all servers every `every_s` seconds, which is also how long one may take; 0: only count who is unwell."""
    while True:
        if every_s:
            await asyncio.gather(*(_probe(client, row, base, every_s) for base in client.chooser.bases))
        row.set("headrace_upstreams_unwell", client.chooser.unwell(clock.monotonic()))
        await asyncio.sleep(every_s or 1.0)


async def _probe(client: Client, row: Row, base: str, patience_s: float) -> None:
    answered = await client.probe(base, patience_s)
    client.chooser.probed(base, answered=answered)
    row.add("headrace_probes_total", "answered" if answered else "silent")
