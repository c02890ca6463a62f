"""Whose request is it: the client's address behind proxies that we trust."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MOST_HOPS = 32
"""Hops of a forwarded list that are looked at."""


class Trusted:
    """Networks whose word on X-Forwarded-For is taken. None unless they are named."""

    def __init__(self, cidrs: Iterable[str] = ()) -> None:
        """ValueError for what is no network."""
        self._networks = tuple(ipaddress.ip_network(each) for each in cidrs)

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks if network.version == address.version)


def client_address(peer: str, forwarded: Iterable[str], trusted: Trusted) -> str:
    """The right-most hop that we do not trust: whatever stands left of it, anybody may have written.

    `peer` is the other end of the connection, `forwarded` the X-Forwarded-For fields in their order. A hop that is no
    address ends the search at the proxy that handed it on. Without an address of the peer, the peer as it is.
    """
    found = _address(peer)
    if found is None or found not in trusted:
        return peer if found is None else str(found)
    hops = ",".join(forwarded).rsplit(",", MOST_HOPS)[-MOST_HOPS:]
    for hop in reversed(hops):
        before = _address(_bare(hop))
        if before is None:
            break
        found = before
        if found not in trusted:
            break
    return str(found)


def _bare(hop: str) -> str:
    """Without white space, brackets and port: `[2001:db8::1]:443`, `192.0.2.1:443`."""
    text = hop.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
