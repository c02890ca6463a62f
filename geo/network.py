"""Networks of clients: the unit of latency history and of votes, wide enough that it names nobody (CTL-03)."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
IPV4_BITS = 24
IPV6_BITS = 48
NETWORK_PATTERN = r"^[0-9a-f.:]{2,39}/(24|48)$"
"""What `client_network` gives, for messages."""


def plain(address: Address) -> Address:
    """IPv4 inside IPv6 (`::ffff:192.0.2.1`, as a dual-stack socket reports it) is IPv4."""
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def client_network(client: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) of an address, as text. ValueError when it is none."""
    address = plain(ipaddress.ip_address(client))
    return prefix(address, IPV4_BITS if address.version == 4 else IPV6_BITS)


def prefix(address: Address, bits: int) -> str:
    """The network of `bits` that `address` is in."""
    shift = address.max_prefixlen - bits
    return f"{type(address)(int(address) >> shift << shift)}/{bits}"


def is_client_network(text: str) -> bool:
    """Whether `text` is a network as `client_network` writes it."""
    try:
        return client_network(text.partition("/")[0]) == text
    except ValueError:
        return False
