"""Start a session: check the title and its territory, choose the edge, mint the tokens."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from kit.clock import Clock
from kit.errors import Conflict, NotFound
from origin.catalog.service import Catalog
from origin.catalog.states import State
from origin.contract import pathways, token, urls
from origin.contract.pathways import Pathways
from origin.playback.edges import Choice, Edges
from origin.playback.fence import Fence
from origin.playback.request import Format

_MASTERS: dict[Format, str] = {"hls": urls.MASTER_HLS, "dash": urls.MASTER_DASH}


@dataclass(frozen=True, slots=True)
class Session:
    """What a player needs (contracts.md); the licence URLs are None for clear content."""

    session_id: str
    manifest_url: str
    playback_token: str
    license_url: str | None
    certificate_url: str | None
    expires_at: str

    def as_json(self) -> dict[str, str | None]:
        """The answer of playback/start."""
        return {
            "sessionId": self.session_id,
            "manifestUrl": self.manifest_url,
            "playbackToken": self.playback_token,
            "licenseUrl": self.license_url,
            "certificateUrl": self.certificate_url,
            "expiresAt": self.expires_at,
        }


class Playback:
    """Starts sessions. `ttl_s` is the life of both tokens (CDN-05), `cap_kbps` the cap of viewers without a
    registered device (T-021)."""

    def __init__(
        self,
        catalog: Catalog,
        fence: Fence,
        edges: Edges,
        keys: token.Keys,
        clock: Clock,
        *,
        ttl_s: float,
        cap_kbps: int,
    ) -> None:
        self._catalog, self._fence, self._edges, self._keys, self._clock = catalog, fence, edges, keys, clock
        self._ttl_s, self._cap_kbps = ttl_s, cap_kbps

    async def start(self, content_id: str, *, client: str, format: Format = "hls") -> Session:
        """A new session for the viewer at address `client`.

        NotFound without the title, Conflict while it has no published version, NotAvailable where it may not be
        played, NoEdge when nobody can serve it.
        """
        version = await self._version(content_id)
        await self._fence.check(content_id, client)
        session_id = secrets.token_hex(16)
        choice = await self._edges.choose(client, content_id, session_id)
        steer = _pathways(choice)
        now = self._clock.wall()
        media = self._mint(content_id, session_id, now, token.MEDIA, pathways.digest(steer) if steer else None)
        path = urls.asset_path(content_id, version, _MASTERS[format])
        query = f"?{pathways.QUERY}={steer}" if steer else ""
        return Session(
            session_id=session_id,
            manifest_url=choice.edges[0].url + urls.with_token(media, path) + query,
            playback_token=self._mint(content_id, session_id, now, token.LICENCE),
            license_url=None,
            certificate_url=None,
            expires_at=datetime.fromtimestamp(int(now + self._ttl_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    async def _version(self, content_id: str) -> str:
        if (version := await self._catalog.current(content_id)) is not None:
            return version
        title = await self._catalog.title(content_id)
        if title is None:
            raise NotFound(f"no title {content_id}")
        if title.state is State.FAILED:
            raise Conflict(f"{content_id} cannot be played: its ingest failed")
        raise Conflict(f"{content_id} is not ready yet: {title.state}")

    def _mint(self, content_id: str, session_id: str, now: float, audience: str, ways: bytes | None = None) -> str:
        return token.mint(
            self._keys,
            path=urls.content_prefix(content_id),
            now=now,
            ttl_s=self._ttl_s,
            subject=session_id,
            audience=audience,
            cap_kbps=self._cap_kbps,
            pathways=ways,
        )


def _pathways(choice: Choice) -> str | None:
    """The session's pathways for the edge; None where it has nowhere to turn."""
    if len(choice.edges) < 2:
        return None
    return pathways.encode(Pathways(tuple(edge.url for edge in choice.edges), choice.steering))
