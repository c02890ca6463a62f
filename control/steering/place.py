"""Which region a client's address belongs to (CTL-04)."""

import ipaddress
from collections.abc import Mapping, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Places:
    """The region table: longest prefix wins. Look-ups cost one dictionary access per prefix length in use."""

    def __init__(self, networks: Mapping[str, Sequence[str]], default: str) -> None:
        """`networks`: region -> CIDRs. ValueError when two regions claim the same network."""
        self._default = default
        self._table: dict[tuple[int, int, int], str] = {}
        for region, cidrs in networks.items():
            for cidr in cidrs:
                network = ipaddress.ip_network(cidr)
                key = (network.version, network.prefixlen, int(network.network_address))
                if self._table.setdefault(key, region) != region:
                    raise ValueError(f"{cidr} belongs to {self._table[key]} and {region}")
        self._lengths = sorted({key[:2] for key in self._table}, key=lambda each: -each[1])

    def region(self, client: str) -> str:
        """The region of an address; the default region where no network names it. ValueError when it is none."""
        address = _plain(ipaddress.ip_address(client))
        number, bits = int(address), address.max_prefixlen
        for version, length in self._lengths:
            if version == address.version:
                found = self._table.get((version, length, number >> (bits - length) << (bits - length)))
                if found:
                    return found
        return self._default


def _plain(address: Address) -> Address:
    """IPv4 inside IPv6 (`::ffff:192.0.2.1`, as a dual-stack socket reports it) is IPv4."""
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
