"""The bytes of one answer on their way to a socket that takes what it likes: no wait, no copy, no blocked loop.

A file goes by sendfile, behind its head in the same packet (MSG_MORE). A page that is not in memory is read off the
loop first: sendfile would wait for the disk. What was sent a moment ago is in memory still, and not looked at again.
After TURN bytes others get their turn.
"""

import asyncio
import os
import socket
from collections.abc import Callable

from proxy.serve.standstill import Standstill, Waiting
from proxy.serve.writable import Writable
from proxy.store.bodies import FileBody
from proxy.store.descriptors import Lease, Seen

TURN = 4 * 2**20
"""Bytes at most before the loop serves somebody else: half a millisecond. Shorter turns cost more than they give."""
_CHUNK = 2 * 2**20
"""Bytes of one sendfile, and of one look at what is in memory."""
_READ = 256 * 1024
_RUN = 2**20
"""The kernel reads and drops pages by the run: so often one is looked at."""
_FRESH_S = 1.0
"""So long pages that were in memory are taken to be: the kernel drops first what nobody has read for longest."""

Ended = Callable[[int, OSError | None], None]
"""Called once with the bytes sent, and why not all: ConnectionError (the viewer left), TimeoutError (it took nothing
for too long), another OSError (the disk)."""


class Outbox:
    """Sends one answer at a time on a duplicate of a connection's descriptor: uvloop keeps its own to itself."""

    def __init__(self, fd: int, writable: Writable, timeout_s: float, ended: Ended) -> None:
        self._loop = asyncio.get_running_loop()
        self._writable = writable
        self._socket = socket.socket(fileno=os.dup(fd))
        self._ended = ended
        self._bytes = memoryview(b"")
        self._lease: Lease | None = None
        self._start = self._at = self._end = self._in_memory_to = 0
        self.sent = 0
        """Bytes of the answer that the socket has taken."""
        self._began = 0.0
        self._reading = self._closed = False
        self._standstill = Standstill(timeout_s, self._waiting, self._late)

    def send(self, data: bytes | memoryview, sent: int = 0) -> None:
        """Send `data`, the rest of an answer of which the socket has `sent` bytes. As always, `ended` may be called
        before this returns."""
        self._bytes, self.sent = memoryview(data), sent
        self._standstill.moved()
        self._push()

    def at_once(self, head: bytes, file: FileBody, start: int, end: int) -> int:
        """Send what the socket takes of a head and a part of a file that was in memory a moment ago; how many bytes
        that was. The rest, and what goes wrong, is send_file's."""
        lease, place, sent = file.lease, file.offset + start, 0
        if end - start <= _CHUNK and lease.seen.covers(place, file.offset + end, self._loop.time() - _FRESH_S):
            try:
                sent = self._socket.send(head, socket.MSG_MORE)
                if sent == len(head):
                    sent += os.sendfile(self._socket.fileno(), lease.fd, place, end - start)
            except OSError:
                pass
        return sent

    def send_file(self, head: bytes, file: FileBody, start: int, end: int, sent: int = 0) -> None:
        """Send `head`, then the bytes `start` to `end` of `file`, less the first `sent` of all that."""
        self._bytes, self.sent = memoryview(head)[sent:], sent
        self._lease = file.lease if end > start else None
        self._start, self._end = file.offset + start, file.offset + end
        self._in_memory_to = self._at = self._start + max(0, sent - len(head))
        self._began = self._loop.time()
        self._standstill.moved()
        self._push()

    def close(self) -> None:
        """Give up what is under way, without a word, and the descriptor."""
        self._closed = True
        self._writable.forget(self._socket.fileno())
        self._standstill.close()
        self._lease = None
        self._socket.close()

    def _push(self) -> None:
        """Send until all is sent, the socket is full, the turn is over, or the disk must be asked."""
        before = self.sent
        try:
            while self._bytes or self._lease:
                if self.sent - before >= TURN:
                    break
                if self._bytes:
                    self._send_bytes()
                elif self._at < self._in_memory_to or self._is_in_memory():
                    if not self._send_file():
                        break
                else:
                    self._read_ahead()
                    return
            else:
                self._finish(None)
                return
        except BlockingIOError:
            pass
        except OSError as error:
            self._finish(error)
            return
        if self.sent != before:
            self._standstill.moved()
        self._watch()

    def _send_bytes(self) -> None:
        count = self._socket.send(self._bytes, socket.MSG_MORE if self._lease else 0)
        self.sent += count
        self._bytes = self._bytes[count:]

    def _send_file(self) -> bool:
        """Whether the socket took all that it was given: then it may take more."""
        lease, wanted = self._lease, self._in_memory_to - self._at
        assert lease is not None
        count = os.sendfile(self._socket.fileno(), lease.fd, self._at, wanted)
        if not count:
            raise OSError("a cache file ended early")
        self.sent += count
        self._at += count
        if self._at >= self._end:
            if not lease.seen.covers(self._start, self._end, self._began - _FRESH_S):
                lease.seen = Seen(self._start, self._end, self._began)
            self._lease = None
        return count == wanted

    def _is_in_memory(self) -> bool:
        """Whether the next chunk's pages are in memory: the last one, and one a run before it."""
        assert self._lease is not None
        end = min(self._at + _CHUNK, self._end)
        if self._lease.seen.covers(self._at, end, self._loop.time() - _FRESH_S):
            self._in_memory_to = end
            return True
        try:
            for place in range(end - 1, self._at - 1, -_RUN):
                os.preadv(self._lease.fd, (bytearray(1),), place, os.RWF_NOWAIT)
        except OSError:  # not in memory, or a file system that does not say
            return False
        self._in_memory_to = end
        return True

    def _read_ahead(self) -> None:
        """Have the next chunk read by a thread, then go on."""
        assert self._lease is not None
        self._reading = True
        end = min(self._at + _CHUNK, self._end)
        reading = self._loop.run_in_executor(None, _read_through, self._lease, self._at, end)
        reading.add_done_callback(lambda done: self._was_read(done, end))

    def _was_read(self, done: "asyncio.Future[None]", end: int) -> None:
        self._reading = False
        failure = None if done.cancelled() else done.exception()
        if self._closed:
            return
        if isinstance(failure, OSError):
            self._finish(failure)
        else:
            self._in_memory_to = end
            self._standstill.moved()
            self._push()

    def _watch(self) -> None:
        """Go on when the socket takes more; let go of a viewer that does not."""
        self._writable.wait(self._socket.fileno(), self._push)
        self._standstill.watch()

    def _waiting(self) -> Waiting:
        if not self._bytes and not self._lease:
            return Waiting.NOTHING
        return Waiting.DISK if self._reading else Waiting.VIEWER

    def _late(self) -> None:
        self._finish(TimeoutError("viewer too slow"))

    def _finish(self, error: OSError | None) -> None:
        self._writable.cancel(self._socket.fileno())
        self._lease, self._bytes = None, memoryview(b"")
        self._ended(self.sent, error)


def _read_through(lease: Lease, start: int, end: int) -> None:
    """Bring a part of a file into memory. Runs in a thread; `lease` keeps the file open."""
    buffer = bytearray(_READ)
    while start < end and (count := os.preadv(lease.fd, (memoryview(buffer)[: end - start],), start)):
        start += count
