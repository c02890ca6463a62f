"""An operator's client of a running installation: reads `run.json`, speaks to origin's API."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from kit.errors import HeadraceError, SettingsError, UpstreamFailed

RUN_FILE = Path(".headrace/run.json")
_NEEDED = ("origin", "contentId")
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=3)


class Rejected(HeadraceError):
    """Origin understood and said no; the message is its own."""

    kind = "rejected"


@dataclass(frozen=True, slots=True)
class Running:
    """A running installation: its ready line and its operators' token."""

    line: dict[str, Any]
    token: str

    @classmethod
    def read(cls, file: Path | None) -> "Running":
        """From `run.json` (default: that of the working directory). SettingsError when nothing runs there."""
        path = file or RUN_FILE
        try:
            line = json.loads(path.read_text())
            token = path.with_name("operator.token").read_text().strip()
        except FileNotFoundError:
            raise SettingsError(f"nothing runs here ({path} is missing): start it with `headrace up`") from None
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path}: {error}") from None
        if not isinstance(line, dict) or not all(isinstance(line.get(name), str) for name in _NEEDED):
            raise SettingsError(f"{path}: not what `headrace up` writes: {', '.join(_NEEDED)} are missing")
        return cls(line, token)


@dataclass(frozen=True, slots=True)
class Master:
    """A film file and what belongs to it; `subtitles` are (language, file).

    A title from a command line or a file's name may hold bytes that are no UTF-8; they are sent as U+FFFD.
    """

    file: Path
    title: str
    content_id: str | None = None
    subtitles: tuple[tuple[str, Path], ...] = ()


class Origin:
    """Origin's API with the operators' token. An async context manager."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Origin":
        headers = {"Authorization": f"Bearer {self._token}"}
        self._session = aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(self, path: str) -> Any:
        """GET a JSON document. Rejected with origin's words, UpstreamFailed when it cannot be reached."""
        return await self._call("GET", path)

    async def post(self, path: str, document: dict[str, Any]) -> Any:
        """POST a JSON document; as get."""
        return await self._call("POST", path, json=document)

    async def ingest(self, master: Master, profile: str | None) -> Any:
        """Upload a master with what belongs to it: {contentId, version, state}. Rejected says why it was refused."""
        form = aiohttp.FormData()
        form.add_field("title", os.fsencode(master.title).decode("utf-8", "replace"))
        for name, value in (("profile", profile), ("contentId", master.content_id)):
            if value:
                form.add_field(name, value)
        with contextlib.ExitStack() as stack:
            for language, path in master.subtitles:
                opened = stack.enter_context(path.open("rb"))
                form.add_field(f"subtitles-{language}", opened, filename="text", content_type="text/vtt")
            film = stack.enter_context(master.file.open("rb"))
            form.add_field("master", film, filename="master", content_type="application/octet-stream")
            unbounded = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=300)
            return await self._call("POST", "/api/v1/ingest", data=form, timeout=unbounded)

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        assert self._session is not None
        try:
            async with self._session.request(method, self._url + path, **options) as response:
                text = await response.text()
                if response.status < 400:
                    return json.loads(text)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UpstreamFailed(f"origin at {self._url}: {error or type(error).__name__}") from None
        raise Rejected(_words(text) or f"origin answered {response.status}")


def _words(text: str) -> str:
    try:
        return str(json.loads(text).get("message", ""))
    except (ValueError, AttributeError):
        return ""
