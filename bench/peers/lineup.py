"""All peers of a call, with one origin behind them and the same objects."""

import base64
import contextlib
import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers import certificate, settings
from bench.peers.processes import Peer, accepts, free_port, running, which
from origin.contract import token
from origin.contract.urls import with_token

SIZES = (2_048, 65_536, 2**20, 2**22)
FOLDER = "/content/bench/v1/"
COLD = "/content/cold/v1/{}.bin"
"""Any number of objects of 1 MiB; so are those of `bench.stock.path_of`, of 1 KiB. The origin has one file for each."""
ORIGIN = "origin"
LANE, AIOHTTP, NGINX, VARNISH, BARE = "headrace", "headrace without lane", "nginx", "varnish", "bare sendfile loop"
TLS, THREADS = "TLS", "aio threads"
NEEDED = {"nginx": "nginx", "varnishd": "varnish", "wrk": "wrk"}
"""Commands, and the Debian packages that have them."""
_LIFE_S = 86_400
_SECRET = "a secret of the benchmark"
_ALL = (*SIZES, 1_024)


class LineUp:
    """What a call starts, each peer at its first use; ends with `stack`."""

    def __init__(self, root: Path, stack: contextlib.ExitStack) -> None:
        self._root, self._stack = root, stack
        self.everybody: list[Peer] = []
        """Who was started, the origin first."""
        self._objects = root / "objects" / FOLDER.strip("/")
        self._objects.mkdir(parents=True)
        for size in _ALL:
            (self._objects / f"{size}.bin").write_bytes(os.urandom(size))
        token.new_key(root / "keys")
        self._token = token.mint(token.Keys.load(root / "keys"), path="/content/", now=time.time(), ttl_s=_LIFE_S)
        self._pair = certificate.make(root)
        self.origin = self._nginx(ORIGIN, settings.ORIGIN)

    def standard(self) -> list[Peer]:
        """Headrace with and without its lane, nginx at both settings, Varnish, the bare loop."""
        nginxes = [self.nginx(nopush) for nopush in ("on", "off")]
        return [self.edge(), self.edge(AIOHTTP, lane=False), *nginxes, self.varnish(), self.bare()]

    def encrypted(self) -> list[Peer]:
        """Who speaks TLS, with one certificate: Varnish 7.1 does not. Without sendfile `nopush` is nothing to nginx."""
        return [self.edge(variant=TLS, tls=True), self.nginx("on", TLS, tls=True)]

    def edge(
        self, name: str = LANE, variant: str = "", *, lane: bool = True, workers: int = 1, tls: bool = False
    ) -> Peer:
        """Headrace's edge, a token checked. What lies in the directory of its title already it has stored."""
        port, files = free_port(), self.files(name, variant)
        config, ready = files.with_suffix(".toml"), files.with_suffix(".ready")
        text = settings.EDGE.format(
            port=port,
            origin=self.origin.port,
            root=self._root,
            name=files.name,
            lane=str(lane).lower(),
            workers=workers,
            more=settings.EDGE_TLS.format(**self._pair._asdict()) if tls else "",
        )
        config.write_text(text)
        command = [sys.executable, "-m", "headrace.main", "edge", "--config", str(config), "--ready-file", str(ready)]
        ca = self._pair.cert if tls else None
        return self._peer(name, variant, port, command, text, with_token(self._token, ""), files, ca, ready)

    def nginx(
        self, nopush: str, variant: str = "", *, workers: int = 1, tls: bool = False, threads: bool = False
    ) -> Peer:
        """nginx proxy_cache; which `nopush` is better depends on the size. `threads` read what is not in memory."""
        end = str(int(time.time()) + _LIFE_S)
        digest = hashlib.md5(f"{_SECRET} {end}".encode(), usedforsecurity=False).digest()
        prefix = f"/t/{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}/{end}"
        more = settings.NGINX_TLS.format(**self._pair._asdict()) if tls else settings.NGINX_THREADS if threads else ""
        inside = {"nopush": nopush, "listen": " ssl" if tls else "", "more": more, "workers": workers}
        name = f"{NGINX} {THREADS}" if threads else f"{NGINX} nopush {nopush}"
        return self._nginx(name, settings.NGINX_CACHE, variant, prefix, tls=tls, **inside)

    def varnish(self, variant: str = "") -> Peer:
        """Varnish in memory; it checks no token and writes no log."""
        port, files = free_port(), self.files(VARNISH, variant)
        config = files.with_suffix(".vcl")
        text = settings.VARNISH.format(origin=self.origin.port)
        config.write_text(text)
        at = ("-n", str(files), "-a", f"127.0.0.1:{port}", "-f", str(config))
        command = [which("varnishd") or "varnishd", "-F", *at, *settings.VARNISH_OPTIONS]
        return self._peer(VARNISH, variant, port, command, " ".join(settings.VARNISH_OPTIONS) + "\n" + text)

    def bare(self) -> Peer:
        """Head and sendfile."""
        port = free_port()
        command = [sys.executable, "-m", "bench.peers.bare", str(port), str(self._objects)]
        return self._peer(BARE, "", port, command, "")

    def files(self, name: str, variant: str) -> Path:
        """What the names of a peer's files begin with, and where its cache is."""
        return self._root / re.sub(r"[^a-z0-9]+", "-", f"{name} {variant}".lower()).strip("-")

    def _nginx(
        self, name: str, servers: str, variant: str = "", prefix: str = "", *, tls: bool = False, **inside: object
    ) -> Peer:
        port, files = free_port(), self.files(name, variant)
        config = files.with_suffix(".conf")
        values = {"workers": 1, "root": self._root, "name": files.name, "port": port, "folder": FOLDER} | inside
        origin = 0 if name == ORIGIN else self.origin.port
        user = "user root; " if os.getuid() == 0 else ""  # its own account could not read this folder
        text = settings.NGINX.format(
            **values, servers=servers.format(**values, origin=origin, secret=_SECRET), user=user
        )
        config.write_text(text)
        command = [which("nginx") or "nginx", "-c", str(config), "-e", str(files.with_suffix(".log"))]
        return self._peer(name, variant, port, command, text, prefix, files, self._pair.cert if tls else None)

    def _peer(
        self,
        name: str,
        variant: str,
        port: int,
        command: Sequence[str],
        text: str,
        prefix: str = "",
        cache: Path | None = None,
        ca: Path | None = None,
        ready: Path | None = None,
    ) -> Peer:
        process = self._stack.enter_context(
            running(
                command,
                self.files(name, variant).with_suffix(".out"),
                lambda: accepts(port) if ready is None else ready.exists(),
            )
        )
        peer = Peer(name, port, prefix, process, text.replace(str(self._root), "ROOT"), variant, cache, ca)
        self.everybody.append(peer)
        return peer


@contextlib.contextmanager
def lineup(root: Path) -> Iterator[LineUp]:
    """One with its origin; all that it started ends on leaving."""
    with contextlib.ExitStack() as stack:
        yield LineUp(root, stack)


def missing() -> list[str]:
    """Debian packages that are not there."""
    return [package for command, package in NEEDED.items() if which(command) is None]
