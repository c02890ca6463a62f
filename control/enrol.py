"""Make the fleet key and the credentials that come from it; run where control runs, by whoever sets nodes up."""

import os
import secrets
from pathlib import Path

from control.contract.credential import SPEAKS_TO, issue
from kit.errors import SettingsError

KEY_BYTES = 32


def fleet_key(file: Path) -> bytes:
    """The fleet key in `file`; made there (mode 600) when the file does not exist.

    SettingsError when it is unreadable, not a key, or open to others.
    """
    try:
        _create(file)
        mode, text = file.stat().st_mode, file.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"fleet key {file}: {error}") from None
    if len(key) != KEY_BYTES:
        raise SettingsError(f"fleet key {file}: {len(key)} bytes instead of {KEY_BYTES}")
    if mode & 0o077:
        raise SettingsError(f"fleet key {file}: others may read it; its mode must be 600")
    return key


def write_credential(fleet_key: bytes, node_id: str, role: str, file: Path) -> None:
    """Write the credential of one node (mode 600). SettingsError for an unknown role or an unwritable place."""
    if role not in SPEAKS_TO:
        raise SettingsError(f"no role {role!r}; known: {', '.join(SPEAKS_TO)}")
    try:
        issue(fleet_key, node_id, role).save(file)
    except OSError as error:
        raise SettingsError(f"credential {file}: {error}") from None


def _create(file: Path) -> None:
    """Whole or not at all, and never over another's: two processes may start at once."""
    if file.exists():
        return
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    part.touch(mode=0o600)
    try:
        part.write_text(secrets.token_hex(KEY_BYTES) + "\n", encoding="ascii")
        os.link(part, file)
    except FileExistsError:
        return
    finally:
        part.unlink()
