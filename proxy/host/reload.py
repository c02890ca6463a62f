"""SIGHUP: the settings are read again and the workers replaced one by one; bad ones leave the old serving."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from configs.schema.node import NodeSettings
from kit import log
from kit.clock import Clock
from kit.errors import HeadraceError, SettingsError

APPLIED = frozenset(
    {
        "access_log",
        "fast_lane",
        "keys_dir",
        "limits.connections_per_client",
        "limits.drain_s",
        "limits.header_timeout_s",
        "limits.idle_timeout_s",
        "limits.send_timeout_s",
        "max_isolation_s",
        "origin",
        "origins",
        "pacing",
        "shields",
        "store.admission_above",
        "store.memory",
        "store.memory_object",
        "store.slice",
        "token_keys",
        "upstream",
    }
)
"""What new workers do differently, with all below it. The rest is the supervisor's, or the keeper's, or control was
told of it: it takes a restart of the node."""


def refused(old: dict[str, Any], new: dict[str, Any], above: str = "") -> list[str]:
    """The names of the settings that differ and are not in APPLIED, dots between levels."""
    names = []
    for name in sorted(old.keys() | new.keys()):
        before, after, full = old.get(name), new.get(name), f"{above}{name}"
        if before == after or full in APPLIED:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            names += refused(before, after, f"{full}.")
        else:
            names.append(full)
    return names


class Reload:
    """The settings that new workers get, and what became of the last attempt to read others."""

    def __init__(
        self,
        settings: NodeSettings,
        read: Callable[[], NodeSettings],
        replace: Callable[[NodeSettings], Awaitable[None]],
        clock: Clock,
    ) -> None:
        """`read`: the settings as they are now, SettingsError when a node could not start with them; it may block.
        `replace`: all workers by new ones, ChildProcessError when one does not serve."""
        self.settings = settings
        self._read, self._replace, self._clock = read, replace, clock
        self._loaded, self._error = clock.wall(), ""
        self._one = asyncio.Lock()

    def health(self) -> dict[str, Any]:
        """For /health: when the settings in use were loaded (Unix time), and why newer ones are not in use."""
        return {"loaded": self._loaded, "error": self._error or None}

    async def follow(self, asked: asyncio.Event) -> None:
        """Reload as often as `asked` is set; once more if it was set meanwhile. Endless."""
        while True:
            await asked.wait()
            asked.clear()
            try:
                await self.now()
            except (HeadraceError, ChildProcessError) as error:
                self._error = str(error)
                log.get("node").error("not reloaded", error=self._error)

    async def now(self) -> None:
        """Reload; on return new workers serve. SettingsError or ChildProcessError: the old ones go on."""
        async with self._one:
            await self._once()
            self._loaded, self._error = self._clock.wall(), ""
            log.get("node").info("reloaded")

    async def _once(self) -> None:
        new = await asyncio.to_thread(self._read)
        fixed = refused(self.settings.model_dump(), new.model_dump())
        if fixed:
            names = ", ".join(f"`{name}`" for name in fixed)
            raise SettingsError(f"{names}: takes a restart of the node")
        await self._replace(new)
        self.settings = new
