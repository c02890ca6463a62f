"""Signed requests from a node or origin to control."""

import ipaddress
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import ValidationError
from yarl import URL

from configs.schema.base import NodeIdentity
from control.contract.credential import Credential
from control.contract.errors import NoEdgeLeft
from control.contract.messages import CHOOSE_PATH, MAX_BODY_BYTES, ChooseAnswer, ChooseRequest, Message
from kit.clock import Clock
from kit.errors import SettingsError, UpstreamFailed, UpstreamTimeout
from origin.contract.headers import NODE

A = TypeVar("A", bound=Message)


class ControlLink:
    """Control, as one node sees it. The session stays its owner's."""

    def __init__(self, identity: NodeIdentity, role: str, clock: Clock, session: aiohttp.ClientSession) -> None:
        """SettingsError when control's URL is missing or unsafe, or the credential is unreadable or another's."""
        self.url = checked_url(identity.control)
        self.id = identity.id
        self._credential = _credential(identity, role)
        self._clock, self._session = clock, session

    async def choose(self, request: ChooseRequest, *, timeout_s: float = 1.0) -> ChooseAnswer:
        """Candidates for a session. NoEdgeLeft when control has none, UpstreamFailed when it is away or refuses."""
        return await self.post(CHOOSE_PATH, request, ChooseAnswer, timeout_s=timeout_s)

    async def post(self, path: str, message: Message | None, answer: type[A], *, timeout_s: float) -> A:
        """Send one signed message. UpstreamTimeout or UpstreamFailed when no good answer came.

        The signature covers `path` alone, so that control may stand behind a prefix.
        """
        body = message.encode() if message else b""
        return await self._ask("POST", path, body, answer, timeout_s=timeout_s, most_bytes=MAX_BODY_BYTES)

    async def get(self, path: str, answer: type[A], *, timeout_s: float, most_bytes: int) -> A:
        """Ask, signed as `post` is; `path` has its query with it. Errors as `post`."""
        return await self._ask("GET", path, b"", answer, timeout_s=timeout_s, most_bytes=most_bytes)

    async def _ask(
        self, method: str, path: str, body: bytes, answer: type[A], *, timeout_s: float, most_bytes: int
    ) -> A:
        signature = self._credential.sign("control", method=method, target=path, now=self._clock.wall(), body=body)
        fields, url = {NODE: signature}, self.url + path
        return await exchange(
            self._session, method, url, fields, body, answer, timeout_s=timeout_s, most_bytes=most_bytes
        )


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    fields: dict[str, str],
    body: bytes,
    answer: type[A],
    *,
    timeout_s: float,
    most_bytes: int = MAX_BODY_BYTES,
) -> A:
    """One request to control and its answer. UpstreamTimeout or UpstreamFailed when no good answer came."""
    posts = method == "POST"
    try:
        async with session.request(
            method,
            URL(url, encoded=True),
            data=body if posts else None,
            headers=fields | ({"Content-Type": "application/json"} if posts else {}),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            allow_redirects=False,
        ) as response:
            blob = await _read(response, most_bytes)
            if response.status == 503 and b'"no_edge"' in blob:
                raise NoEdgeLeft("control has no edge for the session")
            if response.status != 200:
                raise UpstreamFailed(f"control answered {response.status}: {blob[:200].decode(errors='replace')}")
    except TimeoutError:
        raise UpstreamTimeout(f"control gave no answer in {timeout_s} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamFailed(f"control cannot be reached: {error}") from None
    try:
        return answer.model_validate_json(blob)
    except ValidationError as error:
        raise UpstreamFailed(f"control's answer is not understood: {error.errors()[0]['msg']}") from None


def checked_url(url: str | None) -> str:
    """Control's base URL if it may be used: https, or http to loopback (contracts.md); SettingsError otherwise."""
    if url is None:
        raise SettingsError("identity.control is missing: this process has no control to speak to")
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise SettingsError(f"identity.control: {url} must be https:// (http:// only to a loopback address)")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credential(identity: NodeIdentity, role: str) -> Credential:
    try:
        credential = Credential.load(identity.credential)
    except (OSError, ValueError) as error:
        raise SettingsError(f"identity.credential: {error}") from None
    if (credential.id, credential.role) != (identity.id, role):
        raise SettingsError(
            f"identity.credential: {identity.credential} is of {credential.role} {credential.id!r},"
            f" not of {role} {identity.id!r}"
        )
    if "control" not in credential.secrets:
        raise SettingsError(f"identity.credential: {identity.credential} holds no secret for control")
    return credential


async def _read(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    blob = bytearray()
    async for chunk in response.content.iter_chunked(MAX_BODY_BYTES):
        blob += chunk
        if len(blob) > most_bytes:
            raise UpstreamFailed("control's answer is too long")
    return bytes(blob)
