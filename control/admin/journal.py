"""Tokens and audit log as files of one directory, for a control process without Redis.

`tokens.json` is written whole and renamed. `audit.jsonl` is only ever appended to; at half of the bound it becomes
`audit.old.jsonl`. Every call blocks: run it in a thread.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from control.admin.errors import StoreAway
from control.admin.tokens import Token
from control.admin.trail import Entry
from kit.errors import SettingsError

_TOKENS = TypeAdapter(list[Token])


class Journal:
    """One directory, of one process."""

    def __init__(self, directory: Path, most_entries: int) -> None:
        """Makes the directory (mode 700). SettingsError when it cannot be had."""
        self._tokens, self._log = directory / "tokens.json", directory / "audit.jsonl"
        self._old = directory / "audit.old.jsonl"
        self._turn_at = max(1, most_entries // 2)
        self._lines = 0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"administration.state_dir: {error}") from None

    def read(self) -> tuple[list[Token], list[Entry]]:
        """What was kept; SettingsError names a file that is no such thing. A last line that was cut by a crash goes."""
        try:
            tokens = _TOKENS.validate_json(self._tokens.read_bytes()) if self._tokens.exists() else []
            old = list(self._entries(self._old))
            new = list(self._entries(self._log))
        except (OSError, ValueError) as error:  # what pydantic and orjson raise are ValueErrors
            raise SettingsError(f"administration.state_dir: {error}") from None
        self._lines = len(new)
        return tokens, old + new

    def keep_tokens(self, tokens: list[Token]) -> None:
        """Replace the tokens, whole or not at all. StoreAway."""
        part = self._tokens.with_suffix(".part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            _write(descriptor, _TOKENS.dump_json(tokens))
            part.replace(self._tokens)
        except OSError as error:
            raise StoreAway(f"the tokens cannot be kept: {error}") from None

    def append(self, entry: Entry) -> None:
        """Put one line at the end, on the disk before this returns. StoreAway."""
        try:
            if self._lines >= self._turn_at:
                self._log.replace(self._old)
                self._lines = 0
            descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            _write(descriptor, entry.encode() + b"\n")
            self._lines += 1
        except OSError as error:
            raise StoreAway(f"the audit log cannot be written: {error}") from None

    def _entries(self, file: Path) -> Iterator[Entry]:
        if not file.exists():
            return
        blob = file.read_bytes()
        whole, _, rest = blob.rpartition(b"\n")
        if rest:
            os.truncate(file, len(blob) - len(rest))
        for line in whole.splitlines():
            yield Entry.model_validate(orjson.loads(line), strict=False)


def _write(descriptor: int, blob: bytes) -> None:
    """Put it at the end, on the disk; or nothing of it stays: half a line would be the beginning of the next."""
    before = os.fstat(descriptor).st_size
    try:
        if os.write(descriptor, blob) < len(blob):  # as on a disk that is full by then
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)
        raise
    finally:
        os.close(descriptor)
