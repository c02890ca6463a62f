"""The least that can be done: a head and sendfile, for comparison. No look at the request but for its last part.

python -m bench.peers.bare PORT FOLDER
"""

import os
import selectors
import socket
import sys
from pathlib import Path

_CHUNK = 2 * 2**20


class _Answers:
    """Who is sent what, from which byte on."""

    def __init__(self, folder: Path, selector: selectors.EpollSelector) -> None:
        self._folder, self._selector = folder, selector
        self._files: dict[str, tuple[int, int]] = {}
        self._at: dict[socket.socket, tuple[int, int, int]] = {}

    def begin(self, viewer: socket.socket) -> None:
        """Read a request (in one piece, as our load sends it) and answer."""
        asked = viewer.recv(65_536)
        if not asked:
            self.end(viewer)
            return
        fd, size = self._file(asked.split(b" ", 2)[1].rpartition(b"/")[2].decode())
        viewer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, socket.MSG_MORE)
        self._at[viewer] = fd, 0, size
        self.go_on(viewer)

    def go_on(self, viewer: socket.socket) -> None:
        """Send until the socket is full."""
        fd, at, size = self._at[viewer]
        try:
            while at < size:
                at += os.sendfile(viewer.fileno(), fd, at, min(_CHUNK, size - at))
            self._selector.modify(viewer, selectors.EVENT_READ)
        except BlockingIOError:
            self._selector.modify(viewer, selectors.EVENT_WRITE)
        self._at[viewer] = fd, at, size

    def end(self, viewer: socket.socket) -> None:
        """The viewer left."""
        self._selector.unregister(viewer)
        self._at.pop(viewer, None)
        viewer.close()

    def _file(self, name: str) -> tuple[int, int]:
        if name not in self._files:
            fd = os.open(self._folder / name, os.O_RDONLY)
            self._files[name] = fd, os.fstat(fd).st_size
        return self._files[name]


def serve(port: int, folder: Path) -> None:
    """Until killed."""
    selector = selectors.EpollSelector()
    answers = _Answers(folder, selector)
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, events in selector.select():
                if key.fileobj is listener:
                    viewer, _ = listener.accept()
                    viewer.setblocking(False)
                    viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(viewer, selectors.EVENT_READ)
                    continue
                assert isinstance(key.fileobj, socket.socket)
                try:
                    (answers.begin if events & selectors.EVENT_READ else answers.go_on)(key.fileobj)
                except ConnectionError:
                    answers.end(key.fileobj)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
