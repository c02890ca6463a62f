"""The certificates of a listener: which one a viewer gets by SNI, and how new files take the place of old ones.

Files are looked at off the loop; what they give is taken over in the loop, pair by pair. A pair that cannot be used
leaves the old one serving, and says so in log, metric and /health.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from configs.schema.node import TlsPair
from kit import log
from kit.errors import SettingsError
from proxy.tls.pair import Pair, Stamp, load, stamp


@dataclass(slots=True)
class _Slot:
    """A pair of files, what was made of them, and why not of the newest."""

    files: TlsPair
    setting: str
    pair: Pair
    stamp: Stamp
    error: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What the files of one slot give now: a pair, or an error."""

    slot: _Slot
    stamp: Stamp
    pair: Pair | None
    error: str


class Certificates:
    """Every pair of a listener, the default one first."""

    def __init__(self, files: tuple[TlsPair, ...], minimum: str) -> None:
        """SettingsError when one cannot be used."""
        self.minimum = minimum
        self._slots = [self._first(each, f"tls.{number}") for number, each in enumerate(files)]
        self._by_name: dict[str, ssl.SSLContext] = {}
        self._arrange()

    @property
    def context(self) -> ssl.SSLContext:
        """What a handshake begins with: the default certificate, until SNI says another."""
        return self._slots[0].pair.context

    @property
    def refused(self) -> int:
        """How many pairs have files that cannot be used."""
        return sum(bool(slot.error) for slot in self._slots)

    @property
    def ends(self) -> float:
        """Unix time when the first of them ends."""
        return min(slot.pair.ends.timestamp() for slot in self._slots)

    def look(self) -> list[Look]:
        """What changed in the files; a pair in error is tried again. Blocks, changes nothing."""
        found = []
        for slot in self._slots:
            now = stamp(slot.files)
            if now != slot.stamp or slot.error:
                found.append(self._try(slot, now))
        return found

    def take(self, looks: list[Look]) -> None:
        """Serve what was found, from the next handshake on."""
        for each in looks:
            slot = each.slot
            if each.pair is not None:
                slot.pair = each.pair
                log.get("tls").info("certificate taken", cert=str(slot.files.cert), names=each.pair.names)
            elif each.error != slot.error:
                log.get("tls").error("certificate refused, the old one serves", error=each.error)
            slot.stamp, slot.error = each.stamp, each.error
        if looks:
            self._arrange()

    def warn(self, now: float) -> None:
        """Tell the log of certificates that viewers will not accept at `now`."""
        for slot in self._slots:
            if problem := slot.pair.problem(now):
                log.get("tls").warning("certificate", cert=str(slot.files.cert), problem=problem)

    def describe(self) -> list[dict[str, Any]]:
        """For /health, a document a pair."""
        return [
            {
                "names": slot.pair.names,
                "not_after": slot.pair.ends.isoformat().replace("+00:00", "Z"),
                "error": slot.error or None,
            }
            for slot in self._slots
        ]

    def _first(self, files: TlsPair, setting: str) -> _Slot:
        before = stamp(files)  # files that change while they are read are looked at again
        return _Slot(files, setting, load(files, self.minimum, setting), before)

    def _try(self, slot: _Slot, now: Stamp) -> Look:
        try:
            return Look(slot, now, load(slot.files, self.minimum, slot.setting), "")
        except SettingsError as error:
            return Look(slot, now, None, str(error))

    def _arrange(self) -> None:
        """Where two certificates have one name the first is it."""
        self._by_name = {
            name: slot.pair.context for slot in reversed(self._slots) for name in reversed(slot.pair.names)
        }
        for slot in self._slots:
            slot.pair.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """The certificate for a name (RFC 6066 3): its own, else that of a wildcard for its first label (RFC 9525 6.3),
        else the default one."""
        if name is None:
            return
        name = name.lower()
        context = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        if context is not None:
            connection.context = context


async def watch(certificates: Certificates, every_s: float, looked: Callable[[], None]) -> None:
    """Look at the files every `every_s` seconds, for ever; `looked` is called at first and after each look."""
    while True:
        looked()
        await asyncio.sleep(every_s)
        certificates.take(await asyncio.to_thread(certificates.look))
