"""A title, played through the edge that control chooses, byte by byte against origin's catalog."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from headrace.client import Origin
from headrace.doctor.fetch import Fetcher, Visit, walk_hls


@dataclass
class Result:
    """What was found. `findings` is empty when all is well."""

    content_id: str
    version: str
    edge: str
    findings: list[str] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The one line that scripts read."""
        return {
            "ok": not self.findings,
            "contentId": self.content_id,
            "version": self.version,
            "edge": self.edge,
            "files": self.files.total(),
            "bytes": self.bytes.total(),
            "edgeHits": self.hits.total(),
            "findings": self.findings,
            "seconds": round(self.seconds, 3),
        }


async def examine(origin_url: str, token: str, content_id: str) -> Result:
    """Play by HLS, take the rest of the version (DASH's own files) by name, compare. UpstreamFailed, Rejected."""
    began = time.perf_counter()
    async with Origin(origin_url, token) as origin, aiohttp.ClientSession() as session:
        start = {"contentId": content_id, "device": {"deviceType": "Doctor", "deviceId": "doctor"}}
        playback = await origin.post("/api/v1/playback/start", start)
        listed = await origin.get(f"/api/v1/titles/{content_id}/assets")
        assets = {each["name"]: each for each in listed["assets"]}
        base, _, _ = playback["manifestUrl"].rpartition("/")
        fetcher = Fetcher(session)
        own = await fetcher.get(playback["manifestUrl"])
        visits = await walk_hls(fetcher, playback["manifestUrl"].partition("?")[0])  # this edge alone, not all pathways
        seen = {visit.url for visit in visits}
        rest = [url for name in assets if (url := f"{base}/{name}") not in seen]
        visits += await asyncio.gather(*(fetcher.get(url) for url in rest))
    result = Result(content_id, listed["version"], base.split("/~")[0])
    if own.status != 200:
        result.findings.append(f"the session's own master: status {own.status}")
    for visit in visits:
        _judge(result, visit, visit.url.removeprefix(f"{base}/"), assets)
    result.seconds = time.perf_counter() - began
    return result


def _judge(result: Result, visit: Visit, name: str, assets: dict[str, Any]) -> None:
    """Note one visit; a finding where it is not what origin stored."""
    stored = assets.get(name)
    kind = stored["kind"] if stored else "unknown"
    result.files[kind] += 1
    result.bytes[kind] += visit.size
    result.hits[kind] += visit.hit
    result.slowest[kind] = max(result.slowest.get(kind, 0.0), visit.seconds)
    if visit.status != 200:
        result.findings.append(f"{name}: status {visit.status}")
    elif stored is None:
        result.findings.append(f"{name}: named by a playlist, unknown to origin")
    elif visit.own and stored["kind"] == "master":
        pass  # its bytes are this session's; what it names was fetched
    elif (visit.size, visit.sha256) != (stored["size"], stored["sha256"]):
        result.findings.append(f"{name}: {visit.size} bytes differ from the {stored['size']} that origin stored")
