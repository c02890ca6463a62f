"""Settings that control lays over the node's own: fetched when a heartbeat's answer names another version, checked,
kept beside the cache, used by new workers. What cannot be used leaves the old in use, and control is told why.
"""

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from configs.overlay import Tier, laid_over
from configs.schema.node import NodeSettings
from control.contract.credential import Credential
from control.contract.messages import Report
from control.contract.snapshots import MAX_SNAPSHOT_BYTES, SNAPSHOT_PATH, Snapshot, signature
from control.node.link import ControlLink
from kit import log
from kit.errors import HeadraceError, SettingsError
from kit.tasks import Owner

FILE = "snapshot.json"
FETCH_S = 5.0
PAUSE_S = 1.0
"""Between two tries to have a version that could not be fetched."""
N = TypeVar("N", bound=NodeSettings)


def kept(directory: Path) -> Snapshot | None:
    """The snapshot that this node used last; None where there is none, or nothing of ours."""
    try:
        return Snapshot.model_validate_json((directory / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def with_snapshot(settings: N, tier: Tier) -> N:
    """The settings with the kept snapshot on top. SettingsError when both do not go together."""
    snapshot = kept(settings.store.cache_dir[0])
    return laid_over(settings, tier, snapshot.settings) if snapshot and settings.identity else settings


def at_start(settings: N, tier: Tier) -> N:
    """As with_snapshot; but a node starts with its own settings rather than not at all."""
    try:
        return with_snapshot(settings, tier)
    except SettingsError as error:
        log.get("snapshot").error("not used at start", error=str(error))
        return settings


class Snapshots:
    """Owns the task that takes up versions. `reload` makes the node use what is kept, or raises and changes nothing."""

    def __init__(
        self, link: ControlLink, credential: Credential, directory: Path, reload: Callable[[], Awaitable[None]]
    ) -> None:
        self._link, self._directory, self._reload = link, directory, reload
        self._secret = _decoded(credential.secrets["control"])
        before = kept(directory)
        self.version, self.error = (before.version if before else 0), ""
        """What is in use; or, with an error, what could not be."""
        self._wanted = self.version
        self._asked, self._owner = asyncio.Event(), Owner("snapshots")

    def start(self) -> None:
        """Begin to take up what is wanted."""
        self._owner.spawn("take", self._run(), endless=True)

    def on(self, report: Report) -> Report:
        """The report with what this node has."""
        return report.model_copy(update={"snapshot": self.version, "snapshot_error": self.error})

    def want(self, version: int) -> None:
        """Control said which version this node should have."""
        if version != self.version:
            self._wanted = version
            self._asked.set()

    async def close(self) -> None:
        """End the task."""
        await self._owner.close()

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            if self._wanted != self.version:
                try:
                    await self._take()
                except HeadraceError as error:
                    log.get("snapshot").warning("not fetched", version=self._wanted, error=str(error))
                    await asyncio.sleep(PAUSE_S)  # the next heartbeat asks again

    async def _take(self) -> None:
        path = SNAPSHOT_PATH.format(id=self._link.id)
        found = await self._link.get(path, Snapshot, timeout_s=FETCH_S, most_bytes=MAX_SNAPSHOT_BYTES)
        try:
            self._check(found)
            await self._use(found)
        except (HeadraceError, ChildProcessError, OSError) as error:
            self.version, self.error = found.version, (str(error) or type(error).__name__)[:200]
            log.get("snapshot").error("not used", version=found.version, error=self.error)
        else:
            self.version, self.error = found.version, ""
            log.get("snapshot").info("used", version=found.version)

    def _check(self, found: Snapshot) -> None:
        expected = signature(self._secret, self._link.id, found.version, found.settings)
        if not hmac.compare_digest(found.signature, expected):
            raise SettingsError("the signature is not control's")

    async def _use(self, found: Snapshot) -> None:
        before = await asyncio.to_thread(_read, self._directory / FILE)
        await asyncio.to_thread(_write, self._directory / FILE, found.encode())
        try:
            await self._reload()
        except BaseException:
            await asyncio.to_thread(_write, self._directory / FILE, before)
            raise


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def _write(file: Path, blob: bytes | None) -> None:
    """Whole or not at all; None: gone."""
    if blob is None:
        file.unlink(missing_ok=True)
        return
    part = file.with_suffix(".part")
    part.write_bytes(blob)
    part.replace(file)
