"""Whose certificates count when we ask an https upstream."""

import ssl
from pathlib import Path

from kit.errors import SettingsError


def client_context(ca: Path | None) -> ssl.SSLContext:
    """Verifies chain and name, always, from TLS 1.2 on; trusts the system's authorities, or those of `ca` alone.
    Blocks. SettingsError when `ca` cannot be used."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"`upstream.ca`: {ca}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
