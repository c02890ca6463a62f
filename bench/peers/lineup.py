"""All peers of a call, with one origin behind them and the same objects."""

import base64
import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers import settings
from bench.peers.processes import Peer, accepts, free_port, running, which
from origin.contract import token
from origin.contract.urls import with_token

SIZES = (2_048, 65_536, 2**20, 2**22)
FOLDER = "/content/bench/v1/"
ORIGIN = "origin"
LANE, AIOHTTP, NGINX, VARNISH, BARE = "headrace", "headrace without lane", "nginx", "varnish", "bare sendfile loop"
NEEDED = {"nginx": "nginx", "varnishd": "varnish", "wrk": "wrk"}
"""Commands, and the Debian packages that have them."""
_LIFE_S = 86_400
_SECRET = "a secret of the benchmark"


class LineUp:
    """What a call starts, each peer at its first use; ends with `stack`."""

    def __init__(self, root: Path, stack: contextlib.ExitStack) -> None:
        self._root, self._stack = root, stack
        self._objects = root / "objects" / FOLDER.strip("/")
        self._objects.mkdir(parents=True)
        for size in SIZES:
            (self._objects / f"{size}.bin").write_bytes(os.urandom(size))
        token.new_key(root / "keys")
        self._token = token.mint(token.Keys.load(root / "keys"), path="/content/", now=time.time(), ttl_s=_LIFE_S)
        self.origin = self._nginx(ORIGIN, settings.ORIGIN, "")

    def standard(self) -> list[Peer]:
        """Headrace with and without its lane, nginx at both settings, Varnish, the bare loop."""
        nginxes = [self.nginx(nopush) for nopush in ("on", "off")]
        return [self.edge(LANE), self.edge(AIOHTTP, lane=False), *nginxes, self.varnish(), self.bare()]

    def edge(self, name: str, *, lane: bool = True, workers: int = 1) -> Peer:
        """Headrace's edge, a token checked."""
        port, file, ready = free_port(), self._root / f"{name}.toml", self._root / f"{name}.ready"
        text = settings.EDGE.format(
            port=port,
            origin=self.origin.port,
            root=self._root,
            name=name,
            lane=str(lane).lower(),
            workers=workers,
        )
        file.write_text(text)
        command = [sys.executable, "-m", "headrace.main", "edge", "--config", str(file), "--ready-file", str(ready)]
        return self._peer(name, port, with_token(self._token, ""), command, text, ready)

    def nginx(self, nopush: str) -> Peer:
        """nginx proxy_cache; which `nopush` is better depends on the size."""
        end = str(int(time.time()) + _LIFE_S)
        digest = hashlib.md5(f"{_SECRET} {end}".encode(), usedforsecurity=False).digest()
        prefix = f"/t/{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}/{end}"
        return self._nginx(f"{NGINX} nopush {nopush}", settings.NGINX_CACHE, prefix, nopush)

    def varnish(self) -> Peer:
        """Varnish in memory; it checks no token and writes no log."""
        port, file = free_port(), self._root / "varnish.vcl"
        text = settings.VARNISH.format(origin=self.origin.port)
        file.write_text(text)
        at = ("-n", str(self._root / VARNISH), "-a", f"127.0.0.1:{port}", "-f", str(file))
        command = [which("varnishd") or "varnishd", "-F", *at, *settings.VARNISH_OPTIONS]
        return self._peer(VARNISH, port, "", command, " ".join(settings.VARNISH_OPTIONS) + "\n" + text)

    def bare(self) -> Peer:
        """Head and sendfile."""
        port = free_port()
        command = [sys.executable, "-m", "bench.peers.bare", str(port), str(self._objects)]
        return self._peer(BARE, port, "", command, "")

    def _nginx(self, name: str, servers: str, prefix: str, nopush: str = "") -> Peer:
        port, file = free_port(), self._root / f"{name.replace(' ', '-')}.conf"
        values = {"root": self._root, "name": name.replace(" ", "-"), "port": port, "nopush": nopush}
        origin = 0 if name == ORIGIN else self.origin.port
        inside = servers.format(**values, origin=origin, secret=_SECRET)
        user = "user root; " if os.getuid() == 0 else ""  # its own account could not read this folder
        text = settings.NGINX.format(**values, servers=inside, user=user)
        file.write_text(text)
        command = [which("nginx") or "nginx", "-c", str(file), "-e", str(self._root / f"{values['name']}.log")]
        return self._peer(name, port, prefix, command, text)

    def _peer(
        self, name: str, port: int, prefix: str, command: Sequence[str], text: str, ready: Path | None = None
    ) -> Peer:
        log = self._root / f"{name}.out"
        process = self._stack.enter_context(
            running(command, log, lambda: accepts(port) if ready is None else ready.exists())
        )
        return Peer(name, port, prefix, process, text.replace(str(self._root), "ROOT"))


@contextlib.contextmanager
def lineup(root: Path) -> Iterator[LineUp]:
    """One with its origin; all that it started ends on leaving."""
    with contextlib.ExitStack() as stack:
        yield LineUp(root, stack)


def missing() -> list[str]:
    """Debian packages that are not there."""
    return [package for command, package in NEEDED.items() if which(command) is None]
