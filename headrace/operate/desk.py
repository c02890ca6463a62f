"""The admin API as a command sees it: where it is, with what token, and calls that are safe to repeat."""

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import aiohttp
import typer
from yarl import URL

from headrace.client import Running
from kit.errors import HeadraceError, SettingsError, UpstreamFailed

PREFIX = "/api/v1/admin"
TRIES = 3
PAUSE_S = 0.3
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=3)

At = Annotated[Path | None, typer.Option(help="The installation's run.json; default: that of this directory.")]
Url = Annotated[str | None, typer.Option("--control", help="Control's admin address, as http://127.0.0.1:8101.")]
TokenFile = Annotated[Path | None, typer.Option(help="With --control: file with an API token, or the operators'.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


class Denied(HeadraceError):
    """Control understood and said no; the message is its own."""

    kind = "denied"


@dataclass(frozen=True, slots=True)
class Desk:
    """Control's admin listener and a token for it."""

    url: str
    token: str

    @classmethod
    def find(cls, at: Path | None, url: str | None, token_file: Path | None) -> "Desk":
        """From run.json, or from --control and --token-file. SettingsError when there is neither."""
        if url is None:
            if token_file is not None:
                raise SettingsError("--token-file goes with --control")
            running = Running.read(at)
            return cls(str(running.line["console"]).rstrip("/"), running.token)
        if token_file is None:
            raise SettingsError("--control goes with --token-file")
        try:
            return cls(url.rstrip("/"), token_file.read_text().strip())
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"--token-file: {error}") from None

    def get(self, path: str, **query: object) -> Any:
        """GET below PREFIX. Denied with control's words, UpstreamFailed when it cannot be reached."""
        return asyncio.run(self.call("GET", path, query=query))

    def act(self, method: str, path: str, document: dict[str, Any] | None = None) -> Any:
        """POST or DELETE; as get. It is done once, however often the connection breaks."""
        return asyncio.run(self.call(method, path, document=document))

    async def call(
        self, method: str, path: str, *, query: dict[str, object] | None = None, document: dict[str, Any] | None = None
    ) -> Any:
        """One call; the key is made once for all tries of it (RES-04, T-030)."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        params = {name: str(value) for name, value in (query or {}).items() if value is not None}
        async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as session:
            for _ in range(TRIES - 1):
                with contextlib.suppress(UpstreamFailed):
                    return await self._once(session, method, path, params, document)
                await asyncio.sleep(PAUSE_S)
            return await self._once(session, method, path, params, document)

    async def _once(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        params: dict[str, str],
        document: dict[str, Any] | None,
    ) -> Any:
        url = URL(self.url + PREFIX + path, encoded=True)
        try:
            async with session.request(method, url, params=params, json=document, allow_redirects=False) as response:
                answer = json.loads(await response.read())
        except (TimeoutError, ValueError, aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed(f"control at {self.url}: {error or type(error).__name__}") from None
        if response.status == 503:
            raise UpstreamFailed(f"control at {self.url}: {answer.get('message')}")
        if response.status >= 400:
            raise Denied(str(answer.get("message") or answer.get("error")))
        return answer


def part(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


def show(answer: Any) -> None:
    """One JSON line."""
    print(json.dumps(answer))
