"""A standalone edge: one path, asked for in the ways that caches get wrong."""

from dataclasses import dataclass
from typing import Any

import aiohttp

from headrace.doctor.fetch import Fetcher, Visit


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the edge. `ok` None: could not be asked here."""

    name: str
    ok: bool | None
    seen: str


async def examine(edge: str, path: str, origin: str | None) -> list[Check]:
    """Ask for `path` whole, again, in part, with its validator; and origin itself when it is given."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        fetcher = Fetcher(session, 1)
        first = await fetcher.get(edge + path, keep=True)
        again = await fetcher.get(edge + path, keep=True)
        checks = [
            Check("answers 200", first.status == 200, str(first.status)),
            Check("the same bytes again", again.sha256 == first.sha256, f"{again.size} bytes"),
            Check("served from cache", again.hit, again.cache_status or "no Cache-Status"),
            await _head(fetcher, edge + path, first),
            await _range(fetcher, edge + path, first),
            await _condition(fetcher, edge + path, first),
        ]
        if origin:
            direct = await fetcher.get(origin + path)
            checks.append(Check("equals origin", direct.sha256 == first.sha256, f"{direct.size} bytes at origin"))
    return checks


def as_json(checks: list[Check], edge: str, path: str) -> dict[str, Any]:
    """The one line that scripts read."""
    return {
        "ok": all(check.ok is not False for check in checks),
        "edge": edge,
        "path": path,
        "checks": {check.name: check.ok for check in checks},
        "findings": [f"{check.name}: {check.seen}" for check in checks if check.ok is False],
    }


async def _head(fetcher: Fetcher, url: str, whole: Visit) -> Check:
    visit = await fetcher.get(url, method="HEAD")
    return Check("HEAD without body", visit.status == whole.status and visit.size == 0, str(visit.status))


async def _range(fetcher: Fetcher, url: str, whole: Visit) -> Check:
    if whole.size < 2:
        return Check("a part", None, "too small")
    visit = await fetcher.get(url, headers={"Range": f"bytes=1-{whole.size - 1}"}, keep=True)
    ok = (visit.status == 206 and visit.body == whole.body[1:]) or (
        visit.status == 200 and visit.sha256 == whole.sha256
    )
    return Check("a part", ok, f"{visit.status}, {visit.size} bytes")


async def _condition(fetcher: Fetcher, url: str, whole: Visit) -> Check:
    if not whole.etag:
        return Check("304 for its ETag", None, "no ETag")
    visit = await fetcher.get(url, headers={"If-None-Match": whole.etag})
    return Check("304 for its ETag", visit.status == 304, str(visit.status))
