"""What a node knows of its orders across restarts: one small file in its cache directory, whole or not there."""

import os
import secrets
from pathlib import Path

from pydantic import Field, ValidationError

from control.contract.generation import Told
from control.contract.messages import Message
from control.contract.orders import CURSOR_PATTERN, MAX_REVOKED, Ack, Order, Revoke
from control.node.purged import Purged
from kit import log

FILE = "orders.json"
MAX_ACKS = 256
"""Acknowledgements that control has not heard yet; the oldest are given up beyond."""
MAX_PREFETCHES = 8
"""Prefetches begun and not ended; more are refused."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Untold(Message):
    """An acknowledgement on its way."""

    number: int
    ack: Ack


class Kept(Message):
    """The state after the last order that was done."""

    boot: str = ""
    """The machine's boot in which it was written. What a purge removed may be back after the next: a crash of the
    machine loses the last seconds of a directory, so no cursor is believed across it."""
    cursor: str | None = Field(default=None, pattern=CURSOR_PATTERN)
    purged: Purged | None = None
    """None until control was heard once; no more believed across a boot than the cursor."""
    draining: bool = False
    revoked: tuple[Revoke, ...] = Field(default=(), max_length=MAX_REVOKED, strict=False)
    untold: tuple[Untold, ...] = Field(default=(), max_length=MAX_ACKS, strict=False)
    prefetches: tuple[Order, ...] = Field(default=(), max_length=MAX_PREFETCHES, strict=False)

    def told(self, number: int) -> "Kept":
        """Control has heard of this one."""
        return self.with_(untold=tuple(each for each in self.untold if each.number != number))

    def owing(self, number: int, ack: Ack) -> "Kept":
        """Control is to hear of this one."""
        return self.with_(untold=(*self.told(number).untold, Untold(number=number, ack=ack))[-MAX_ACKS:])

    def refusing(self, revoked: tuple[Revoke, ...], now: float) -> "Kept":
        """With these revocations too; those that have ended are dropped, and where two name the same, the later end
        counts. `now` is wall time."""
        standing: dict[tuple[str, str], Revoke] = {}
        for each in (*self.revoked, *revoked):
            before = standing.get((each.by, each.what))
            if each.until > now and (before is None or before.until < each.until):
                standing[each.by, each.what] = each
        newest = sorted(standing.values(), key=lambda each: each.until)[-MAX_REVOKED:]
        return self.with_(revoked=tuple(newest))

    def with_(self, **changes: object) -> "Kept":
        """The same with other values."""
        return self.model_copy(update=changes)


def load(directory: Path) -> Kept:
    """What was kept in `directory`; an empty state where there is nothing to be read. Blocks."""
    file, boot = directory / FILE, _boot()
    try:
        kept = Kept.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Kept(boot=boot)
    except (OSError, ValidationError) as error:
        log.get("orders").warning("what was kept of the orders is lost", file=str(file), error=str(error))
        return Kept(boot=boot)
    known = kept.boot == boot and kept.purged is not None
    return kept if known else kept.with_(boot=boot, cursor=None, purged=None)


def resume(directory: Path, told: Told) -> None:
    """Tell the workers how far this node was, before the first one serves. Blocks."""
    purged = load(directory).purged
    if purged is not None:
        told.put(purged.heard_text, purged.done_text)


def save(directory: Path, kept: Kept) -> None:
    """Keep it: on the disk when this returns. OSError. Blocks."""
    part = directory / f".{FILE}.{secrets.token_hex(4)}"
    try:
        with part.open("xb") as out:
            out.write(kept.encode())
            out.flush()
            os.fsync(out.fileno())
        part.replace(directory / FILE)
    finally:
        part.unlink(missing_ok=True)


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
