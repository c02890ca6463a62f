"""An origin with its keys and one published title in a directory, and control as a real server that tests steer."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from configs.schema.origin import OriginSettings
from control.contract.credential import Credential, CredentialRefused, issue
from kit.clock import Clock
from origin.assets import ObjectStore
from origin.catalog.models import Asset, AssetKind, RungInfo
from origin.catalog.service import Catalog, migrate
from origin.contract import token

FLEET = b"f" * 32
OPERATOR = "operator-token-0123456789"
BEARER = {"Authorization": f"Bearer {OPERATOR}"}
FILES: dict[str, tuple[str, AssetKind, bytes]] = {
    "master.m3u8": ("application/vnd.apple.mpegurl", "master", b"#EXTM3U\n# master\n"),
    "manifest.mpd": ("application/dash+xml", "master", b"<MPD/>\n"),
    "v720.m3u8": ("application/vnd.apple.mpegurl", "playlist", b"#EXTM3U\n# media\n"),
    "v720/init.mp4": ("video/mp4", "init", b"ftyp" * 200),
    "v720/00001.m4s": ("video/iso.segment", "segment", bytes(range(256)) * 4000),
    "t_en/00001.vtt": ("text/vtt", "subtitle", b"WEBVTT\n"),
    "v720/empty.m4s": ("video/iso.segment", "segment", b""),
}
RUNGS = [RungInfo("v720", 720, 1280, "avc1.64001f", 2400)]


def settings(home: Path, **given: Any) -> OriginSettings:
    """Settings of an origin below `home`, its secrets made if need be."""
    credential, keys, operator = home / "node.json", home / "keys", home / "operator"
    if not credential.exists():
        home.mkdir(parents=True, exist_ok=True)
        issue(FLEET, "origin-1", "origin").save(credential)
        token.new_key(keys)
        operator.write_text(OPERATOR + "\n")
    control = given.pop("control", None)
    return OriginSettings.model_validate(
        {
            "identity": {"id": "origin-1", "credential": credential, "control": control},
            "listen": "127.0.0.1:0",
            "delivery": "127.0.0.1:0",
            "state_dir": home / "state",
            "keys_dir": keys,
            "admin_token_file": operator,
        }
        | given
    )


async def publish(catalog: Catalog, store: ObjectStore, content_id: str = "bbb", version: str = "v1") -> None:
    """Put FILES in and publish them."""
    await catalog.add_title(content_id, "Big Buck Bunny", "demo", version, {"sha256": "0" * 64})
    assets = []
    for name, (content_type, kind, data) in FILES.items():
        stored = await store.put_bytes(data)
        assets.append(Asset(name, stored.digest, stored.size, content_type, kind))
    await catalog.publish(content_id, version, assets, RUNGS, 120.0)


async def prepare(configured: OriginSettings, url: str, *, clock: Clock | None = None) -> None:
    """An up-to-date catalog with the title bbb."""
    await migrate(url)
    catalog = Catalog.open(url, clock=clock)
    store = ObjectStore(configured.objects_dir or configured.state_dir / "objects")
    try:
        await publish(catalog, store)
    finally:
        store.close()
        await catalog.close()


@dataclass
class Control:
    """Answers steering/choose as told, and keeps what it was asked. `hold` is awaited before it answers."""

    credential: Credential = field(default_factory=lambda: issue(FLEET, "control-1", "control"))
    edges: list[dict[str, str]] = field(default_factory=lambda: [{"id": "edge-1", "url": "http://127.0.0.1:8301"}])
    status: int = 200
    raw: bytes | None = None
    hold: Any = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    now: Any = None

    async def choose(self, request: web.Request) -> web.Response:
        """The route's handler: checks the signature over the body as the real one does."""
        body = await request.read()
        try:
            speaker = self.credential.check(
                request.headers.get("Headrace-Node"), method="POST", target=request.raw_path, now=self.now(), body=body
            )
        except CredentialRefused as refused:
            return web.Response(status=403, text=str(refused))
        self.speakers.append(speaker)
        self.asked.append(json.loads(body))
        if self.hold is not None:
            await self.hold.wait()
        if self.raw is not None:
            return web.Response(body=self.raw, status=self.status)
        return web.json_response({"edges": self.edges, "mapVersion": 7}, status=self.status)

    def application(self) -> web.Application:
        """What to serve."""
        app = web.Application()
        app.router.add_post("/api/v1/steering/choose", self.choose)
        return app
