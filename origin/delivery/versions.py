"""The published versions that were asked for last, kept in memory: they never change."""

import asyncio

from cachetools import LRUCache

from origin.catalog.models import Published
from origin.catalog.service import Catalog

MAX_ASSETS = 200_000
"""Bound of the memory: assets of all remembered versions together, about 100 MB."""


class Versions:
    """Looks up a version once. Unknown versions are not remembered: they may be published the next moment."""

    def __init__(self, catalog: Catalog, *, max_assets: int = MAX_ASSETS) -> None:
        self._catalog = catalog
        self._known: LRUCache[tuple[str, str], Published] = LRUCache(max_assets, getsizeof=_weight)
        self._asking = asyncio.Lock()

    async def get(self, content_id: str, version: str) -> Published | None:
        """The version, or None. One question at a time goes to the database, so that a herd asks it once."""
        key = (content_id, version)
        if (known := self._known.get(key)) is not None:
            return known
        async with self._asking:
            if (known := self._known.get(key)) is not None:
                return known
            found = await self._catalog.published(content_id, version)
            if found is not None and _weight(found) <= self._known.maxsize:
                self._known[key] = found
            return found


def _weight(version: Published) -> int:
    return 1 + len(version.assets)
