"""One control with its admin listener on a loopback port, and whoever calls it."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from configs.schema.control import ControlSettings
from control.admin.endpoint import PREFIX, Endpoint
from control.admin.parts import Admin, administering
from control.admin.roles import Area, Role
from control.admin.tokens import mint
from control.admin.trail import Entry
from control.console.app import admin_app
from control.main import building
from kit.clock import Clock, ManualClock
from kit.service import listening

TOKEN = "operators-token-of-this-test"


@dataclass
class Console:
    """Calls the admin API."""

    admin: Admin
    url: str
    session: aiohttp.ClientSession
    clock: Clock
    names: list[str] = field(default_factory=list)

    async def token(self, role: Role, *areas: Area, lifetime_s: float = 3600) -> str:
        """A token of this role, put straight into the store."""
        name = f"t{len(self.names)}"
        self.names.append(name)
        made, text = mint(name, role, areas, now=self.clock.wall(), lifetime_s=lifetime_s, by="test")
        await self.admin.store.put_token(made)
        return text

    async def call(
        self, method: str, path: str, *, token: str | None = TOKEN, json: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any], Any]:
        """(status, document, header fields) of one call below PREFIX."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        async with self.session.request(method, self.url + PREFIX + path, json=json, headers=given) as response:
            return response.status, await response.json(), response.headers

    async def entries(self, count: int = 1000) -> list[Entry]:
        """The audit log, oldest first."""
        return list(reversed(await self.admin.store.entries(None, count)))


@contextlib.asynccontextmanager
async def console(tmp_path: Path, *, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Console]:
    """A control in this process; `settings` go to ControlSettings."""
    given = ControlSettings(**{"fleet_key_file": tmp_path / "fleet", "expiry_s": 600} | settings)
    time = clock or ManualClock()
    async with (
        building(given, time) as service,
        administering(service, TOKEN) as admin,
        listening(admin_app(admin), "127.0.0.1", 0, drain_s=1) as url,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        yield Console(admin, url, session, time)


def path_of(endpoint: Endpoint) -> str:
    """A path of the endpoint with values that its parameters allow."""
    path = endpoint.path
    for name, value in EXAMPLES.get(endpoint.id, {"id": "edge-1"}).items():
        path = path.replace(f"{{{name}}}", value)
    return path


EXAMPLES: dict[str, dict[str, str]] = {
    "tokens.remove": {"id": "0123456789ab"},
    "steering.lift": {"id": "01234567"},
    "orders.show": {"number": "1"},
    **{f"rollout.{verb}": {"number": "1"} for verb in ("show", "diff", "canary", "activate")},
}
"""Path values of endpoints for which `id` is no node's."""


def fresh() -> str:
    """An idempotency key."""
    return secrets.token_hex(8)
