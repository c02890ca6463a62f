"""A certificate with its key, checked before anything uses it."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from configs.schema.node import TlsPair
from kit.errors import SettingsError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and AEAD only (RFC 9325 4.2); 1.3 has nothing else."""
_PROTOCOLS = ["http/1.1"]

Stamp = tuple[tuple[int, int, int], ...] | None
"""What tells one version of both files from another; None when one cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a listener needs, and what an operator wants to know."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    """Its dNSNames in lower case (RFC 9525 6.3: the subject's common name says nothing)."""
    begins: datetime
    ends: datetime

    def problem(self, now: float) -> str:
        """Why viewers will not accept it at `now` (Unix time), or nothing."""
        moment = datetime.fromtimestamp(now, UTC)
        if moment > self.ends:
            return f"expired at {self.ends.isoformat()}"
        return f"not valid before {self.begins.isoformat()}" if moment < self.begins else ""


def load(files: TlsPair, minimum: str, setting: str) -> Pair:
    """Read, check and load a pair. Blocks. SettingsError names `setting` and the file that is wrong."""
    from proxy.tls import pem  # a node without TLS starts without the library behind it

    names, begins, ends = pem.checked(files, setting)
    context = _context(minimum)
    try:
        context.load_cert_chain(files.cert, files.key, password=lambda: "")  # never asks on a terminal
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(f"`{setting}`: {files.cert}: {error.strerror or error}") from None
    return Pair(context, names, begins, ends)


def stamp(files: TlsPair) -> Stamp:
    """The present version of both files. Blocks."""
    try:
        states = [path.stat() for path in (files.cert, files.key)]
    except OSError:
        return None
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in states)


def _context(minimum: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[minimum]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)
    return context
