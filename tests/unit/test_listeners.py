"""The sockets of a node (proxy.host.listeners): one a place, on one port, and nobody else's."""

import socket

import pytest

from kit.errors import SettingsError
from proxy.host import listeners


def test_each_place_listens_and_connections_wait_for_whoever_gets_its_sockets() -> None:
    with listeners.opened("127.0.0.1", 0, 3) as made:
        clients = [socket.create_connection(("127.0.0.1", made.port), timeout=5) for _ in range(60)]
        waiting = 0
        for place in range(3):
            fds = {name: socket.dup(fd) for name, fd in made.fds(place).items()}
            for each in listeners.given(fds | {"board": -1}):
                with each:
                    each.setblocking(False)
                    found = _accept_all(each)
                    assert found
                    waiting += found
        assert waiting == 60
        for client in clients:
            client.close()


def _accept_all(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return count
        connection.close()
        count += 1


def test_a_name_is_listened_on_at_all_addresses_that_the_machine_has() -> None:
    with listeners.opened("localhost", 0, 2) as made:
        names = {address[0] for *_, address in socket.getaddrinfo("localhost", made.port, type=socket.SOCK_STREAM)}
        assert len(made.fds(0)) == len(made.fds(1)) == len([name for name in names if _has(name)])


def _has(address: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("shares", [False, True], ids=["alone", "would-share"])
def test_a_port_that_another_has_is_refused_even_if_it_would_share_it(shares: bool) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"`listen`: cannot listen on 127.0.0.1:{port}: address already in use"):
            listeners.opened("127.0.0.1", port, 1).__enter__()


def test_a_host_that_this_machine_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1:0: cannot assign requested address"):
        listeners.opened("192.0.2.1", 0, 1).__enter__()
