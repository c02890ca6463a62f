"""What this edge says of a connection with each answer (CMSD-Dynamic, CTA-5006), as one member of a list."""

from kit.tcpinfo import TcpInfo

DURESS = 0.9
"""From this share of its connections on a worker is in duress."""


def member(name: str, info: TcpInfo | None, busy: float, fair_kbps: int) -> str:
    """`"name";etp=..;rtt=..;mb=..;du`: estimated throughput (kbit/s) and round trip (ms) as the kernel has them, left
    out where it knows nothing; in duress du, and as mb (kbit/s) what is each viewer's fair part of the egress.

    `name` is a node's id, which needs no escape; `busy` is the share of the worker's connections that are taken.
    """
    text = f'"{name}"'
    if info is not None and info.delivery_kbps:
        text += f";etp={info.delivery_kbps}"
    if info is not None:
        text += f";rtt={max(1, round(info.rtt_ms))}"
    return f"{text};mb={fair_kbps};du" if busy >= DURESS else text
