"""Objects whose pages are not in memory: read alone, and beside a viewer of one that is. Varnish has no files."""

import contextlib
import ctypes
import mmap
import os
import statistics
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.node import NodeFailed, until
from bench.peers.compared import Compared, in_turn
from bench.peers.lineup import COLD, FOLDER, LANE, NGINX
from bench.peers.load import Round, beside, mix
from bench.peers.many import NOPUSH, Many
from bench.peers.processes import Peer

PAGES, BESIDE = "1 MiB, cold pages", "64 KB beside cold pages"
_SIZE = 2**20
_PATIENCE_S = 5.0
_LIBC = ctypes.CDLL(None, use_errno=True)
_CONNECTIONS = 32
_SMALL, _HOT = f"{FOLDER}2048.bin", f"{FOLDER}65536.bin"
_HOT_A_SECOND, _COLD_A_SECOND = 500, 50
"""The same for every peer: who is quicker must not be asked for more, and nobody for more than a disk has."""


@dataclass(frozen=True, slots=True)
class Cold:
    """So many objects of 1 MiB, for Headrace and nginx: as it stands, and with threads for its reads."""

    many: Many
    objects: int = 400
    beside: int = 200
    """So many of them are read beside the hot one: 4 seconds."""

    def measure(self) -> list[Compared]:
        """Both cases."""
        threads = self.many.line.nginx(NOPUSH, threads=True)
        peers = [self.many.peers[LANE], self.many.peers[f"{NGINX} nopush {NOPUSH}"], threads]
        return self._pages(peers) + self._beside(peers)

    def _pages(self, peers: list[Peer]) -> list[Compared]:
        """Each object once, from the disk, then once from memory: that is the baseline."""
        files = self._files(peers, self.objects)
        for peer in peers:
            self.many.say(f"{self.objects} objects for {peer.title}")
            mix(peer, files[peer.title], 0, _CONNECTIONS)
        self.many.say(PAGES)
        read: dict[str, list[int]] = {peer.title: [] for peer in peers}

        def from_disk(peer: Peer) -> Round:
            drop(peer)
            before = peer.from_disk()
            done = mix(peer, files[peer.title], 0, _CONNECTIONS)
            read[peer.title].append(peer.from_disk() - before)
            return done

        loads = [
            (peer, partial(from_disk, peer), partial(mix, peer, files[peer.title], 0, _CONNECTIONS)) for peer in peers
        ]
        asked = self.objects * _SIZE
        return [
            replace(each, from_disk=statistics.median(read[peer.title]) / asked)
            for each, peer in zip(in_turn(PAGES, loads, self.many.rounds), peers, strict=True)
        ]

    def _beside(self, peers: list[Peer]) -> list[Compared]:
        """One small object at a steady rate while cold ones are read once; the baseline: the same, all from memory."""
        self.many.say(BESIDE)
        files = self._files(peers, self.beside)
        asked = _HOT_A_SECOND * self.beside // _COLD_A_SECOND
        hot = {peer.title: self.many.file(peer, "hot", [_HOT] * asked) for peer in peers}

        def both(peer: Peer) -> Round:
            return beside(peer, hot[peer.title], files[peer.title], (_HOT_A_SECOND, _COLD_A_SECOND))

        def cold(peer: Peer) -> Round:
            drop(peer)
            return both(peer)

        return in_turn(BESIDE, [(peer, partial(cold, peer), partial(both, peer)) for peer in peers], self.many.rounds)

    def _files(self, peers: list[Peer], objects: int) -> dict[str, Path]:
        paths = [COLD.format(each) for each in range(objects)]
        return {peer.title: self.many.file(peer, f"cold {objects}", paths) for peer in peers}


def drop(peer: Peer) -> None:
    """Have the kernel forget the pages of the peer's large files. The pages of the last answers are held until its core
    has something to send again, so it is given that, for 5 s at most. Where files are in memory nothing is forgotten,
    and `from_disk` tells."""
    assert peer.cache is not None
    kept = [path for path in peer.cache.rglob("*") if path.is_file() and path.stat().st_size >= _SIZE]

    def forgotten() -> bool:
        kept[:] = [path for path in kept if not _forget(path)]
        if kept:
            peer.get(_SMALL)
        return not kept

    with contextlib.suppress(NodeFailed):
        until(forgotten, "the kernel forgot the pages", _PATIENCE_S)


def _forget(path: Path) -> bool:
    """Whether no page of it is in memory any more. It is written out first: dirty pages would stay."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        with mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as pages:  # ctypes wants to write
            return not _resident(pages)
    finally:
        os.close(fd)


def _resident(pages: mmap.mmap) -> bool:
    """mincore(2), which Python has not: the lowest bit of a byte a page."""
    told = (ctypes.c_ubyte * -(-len(pages) // mmap.PAGESIZE))()
    first = ctypes.c_char.from_buffer(pages)
    failed = _LIBC.mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(len(pages)), told)
    del first  # the map could not be closed
    if failed:
        raise OSError(ctypes.get_errno(), "mincore")
    return any(each & 1 for each in told)
