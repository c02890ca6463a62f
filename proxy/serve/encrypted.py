"""outbox for a connection under TLS: the file is read in pieces and written to the transport, which encrypts.

No raw sendfile here: what passes TLS by would be plain text in the middle of its records. A piece follows when the one
before has left TLS for the socket's own buffer, so a slow viewer costs two pieces. What is in memory is read at once,
what is not by a thread.
"""

import asyncio
import os

from proxy.serve.outbox import Ended
from proxy.serve.standstill import Standstill, Waiting
from proxy.store.bodies import FileBody
from proxy.store.descriptors import Lease

PIECE = 128 * 1024
_TURN = 2**20
"""Bytes at most before the loop serves somebody else: a millisecond of encrypting."""


class EncryptedOutbox:
    """Sends one file at a time through a TLS transport. Its owner passes on `resume_writing`."""

    def __init__(self, transport: asyncio.Transport, timeout_s: float, ended: Ended) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport, self._ended = transport, ended
        self._lease: Lease | None = None
        self._at = self._end = 0
        self.sent = 0
        """Bytes of the answer that TLS has taken."""
        self._pushing = self._reading = self._yielded = False
        self._standstill = Standstill(timeout_s, self._waiting, self._late)

    def send_file(self, head: bytes, file: FileBody, start: int, end: int) -> None:
        """Send `head`, then the bytes `start` to `end` of `file`. `ended` may be called before this returns."""
        self._lease = file.lease
        self._at, self._end = file.offset + start, file.offset + end
        self._pushing = True  # until `_push` ends: a write may call `resume`
        self._transport.write(head)
        self.sent = len(head)
        self._push()

    def resume(self) -> None:
        """TLS has given all that it held to the socket. Said in the middle of a write, too."""
        if self._lease is not None and not (self._pushing or self._reading or self._yielded):
            self._push()

    def close(self) -> None:
        """Give up what is under way, without a word."""
        self._lease = None
        self._standstill.close()

    def _push(self, piece: memoryview | None = None) -> None:
        """Write `piece`, then until all is written, TLS holds something back, the turn is over, or the disk must be
        asked."""
        self._standstill.moved()
        self._pushing = True
        before = self.sent
        try:
            if piece:
                self._write(piece)
            while self._at < self._end:
                if self._transport.is_closing():
                    raise ConnectionResetError("viewer left")
                if self._transport.get_write_buffer_size():
                    self._standstill.watch()
                    return
                if self.sent - before >= _TURN:
                    self._yield()
                    return
                self._write(_read(self._lease, self._at, self._end, os.RWF_NOWAIT))
        except BlockingIOError:
            self._read_ahead()
        except OSError as error:
            self._finish(error)
        else:
            self._finish(None)
        finally:
            self._pushing = False

    def _write(self, data: memoryview) -> None:
        self._transport.write(data)
        self.sent += len(data)
        self._at += len(data)

    def _yield(self) -> None:
        self._yielded = True
        self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._yielded = False
        if self._lease is not None:
            self._push()

    def _read_ahead(self) -> None:
        self._reading = True
        reading = self._loop.run_in_executor(None, _read, self._lease, self._at, self._end, 0)
        reading.add_done_callback(self._was_read)

    def _was_read(self, done: "asyncio.Future[memoryview]") -> None:
        self._reading = False
        if self._lease is None or done.cancelled():
            return
        failure = done.exception()
        if isinstance(failure, OSError):
            self._finish(failure)
            return
        self._push(done.result())

    def _waiting(self) -> Waiting:
        if self._lease is None:
            return Waiting.NOTHING
        return Waiting.DISK if self._reading else Waiting.VIEWER

    def _late(self) -> None:
        self._finish(TimeoutError("viewer too slow"))

    def _finish(self, error: OSError | None) -> None:
        self._lease = None
        self._ended(self.sent, error)


def _read(lease: Lease | None, at: int, end: int, flags: int) -> memoryview:
    """The next piece, or what of it is in memory (RWF_NOWAIT: BlockingIOError when nothing is)."""
    assert lease is not None
    piece = memoryview(bytearray(min(PIECE, end - at)))
    try:
        count = os.preadv(lease.fd, (piece,), at, flags)
    except OSError as error:
        if flags:  # a file system that does not say what is in memory
            raise BlockingIOError from error
        raise
    if not count:
        raise OSError("a cache file ended early")
    return piece[:count]
