"""The addresses of an installation: free ones, or the usual ones if nobody has them."""

import contextlib
import os
import socket

from configs.schema.base import host_port
from configs.schema.topology import Topology
from headrace.up.children import ChildFailed

ADMIN_STEP = 1000
"""A node's own endpoints are so many ports above its viewers' (contracts.md), on loopback."""
_TRIES = 50


def with_free_ports(topology: Topology) -> Topology:
    """The same installation on ports that are free now, each node's port for /health and /metrics among them."""
    with contextlib.ExitStack() as held:

        def free(address: str) -> str:
            return _free(held, host_port(address)[0])

        def pair(address: str) -> str:
            return _free_pair(held, host_port(address)[0])

        return topology.model_copy(
            update={
                **{name: free(getattr(topology, name)) for name in ("api", "delivery", "control", "admin")},
                "shields": tuple(s.model_copy(update={"listen": pair(s.listen)}) for s in topology.shields),
                "edges": tuple(e.model_copy(update={"listen": pair(e.listen)}) for e in topology.edges),
            }
        )


def check_ports(topology: Topology) -> None:
    """ChildFailed names the first address that cannot be had."""
    nodes = [shield.listen for shield in topology.shields] + [edge.listen for edge in topology.edges]
    addresses = [topology.api, topology.delivery, topology.control, topology.admin, *nodes]
    addresses += [f"127.0.0.1:{host_port(each)[1] + ADMIN_STEP}" for each in nodes]
    for address in addresses:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(host_port(address))
            except OSError as error:
                raise ChildFailed(f"{address}: {os.strerror(error.errno or 0)}; try --free-ports") from None


def _free(held: contextlib.ExitStack, host: str) -> str:
    """A free port, held until all are chosen."""
    holder = held.enter_context(socket.socket())
    holder.bind((host, 0))
    return f"{host}:{holder.getsockname()[1]}"


def _free_pair(held: contextlib.ExitStack, host: str) -> str:
    """A free port whose neighbour for the node's own endpoints is free as well."""
    for _ in range(_TRIES):
        address = _free(held, host)
        above = held.enter_context(socket.socket())
        with contextlib.suppress(OSError, OverflowError):
            above.bind(("127.0.0.1", host_port(address)[1] + ADMIN_STEP))
            return address
    raise ChildFailed("no two free ports for a node: what else listens on this machine?")
