"""What the kernel knows of a TCP connection (Linux, tcp(7) TCP_INFO)."""

import socket
import struct
from dataclasses import dataclass

_FIELDS = struct.Struct("=68xII72xI8xQ")
"""Of struct tcp_info: rtt and rttvar at 68, min_rtt at 148, delivery_rate at 160."""
_SIZE = 192


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Times in milliseconds; `delivery_kbps` is what was lately acknowledged, 0 while nobody knows."""

    rtt_ms: float
    least_rtt_ms: float
    delivery_kbps: int


def tcp_info(raw: socket.socket) -> TcpInfo | None:
    """None where the kernel has measured nothing, or the socket is no TCP socket any more."""
    try:
        blob = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except (OSError, ValueError):
        return None
    if len(blob) < _FIELDS.size:
        return None
    rtt_us, _, least_us, rate = _FIELDS.unpack_from(blob)
    return TcpInfo(rtt_us / 1000, least_us / 1000, rate * 8 // 1000) if rtt_us else None
