"""A master on its way in: streamed to disk in pieces, bounded, gone when it is refused or the sender goes away."""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import aiofiles
from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from kit.errors import BadRequest, HeadraceError, Overloaded, Side

PIECE = 256 * 1024
STALL_S = 60.0
"""A sender that sends nothing for this long is given up."""
MAX_TEXT = 1024
MAX_PARTS = 64
MAX_AT_ONCE = 4
"""Uploads under way; further ones are told to come back."""
_TEXTS = ("title", "profile", "contentId")
_SUBTITLES = "subtitles-"


class TooLarge(HeadraceError):
    """More bytes than settings.upload_limit."""

    kind: ClassVar[str] = "too_large"
    side: ClassVar[Side] = Side.VIEWER
    status: ClassVar[int] = 413


@dataclass
class Upload:
    """What arrived: the master's file, subtitle files by language, and the texts that came with them."""

    master: Path | None = None
    subtitles: list[tuple[str, Path]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


class Uploads:
    """Receives uploads below `folder`, each at most `limit` bytes in all."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._free = MAX_AT_ONCE

    async def sweep(self) -> None:
        """Remove what an earlier process left half-way. Call it before the first upload."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def receive(self, request: web.Request) -> AsyncIterator[Upload]:
        """The upload in `request`; what of it still lies in the folder at the end of the block is removed.

        multipart/form-data with parts `master`, `title`, `profile`, `contentId` and `subtitles-<language>`; or the
        master as the whole body, the texts in the query. BadRequest, TooLarge or Overloaded otherwise.
        """
        if (request.content_length or 0) > self._limit:
            raise TooLarge(f"larger than the limit of {self._limit} bytes")
        if self._free == 0:
            raise Overloaded("too many uploads at once")
        self._free -= 1
        folder = self._folder / secrets.token_hex(8)
        try:
            await asyncio.to_thread(folder.mkdir, parents=True)
            yield await self._read(request, folder)
        finally:
            self._free += 1
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def _read(self, request: web.Request, folder: Path) -> Upload:
        budget = _Budget(self._limit)
        if request.content_type == "multipart/form-data":
            upload = await _multipart(request, folder, budget)
        else:
            texts = {name: request.query[name] for name in _TEXTS if name in request.query}
            upload = Upload(folder / "master", texts=texts)
            await _save(lambda: request.content.read(PIECE), folder / "master", budget)
        if upload.master is None:
            raise BadRequest("no master: send a part named master, or the file as the body")
        if not upload.texts.get("title", "").strip():
            raise BadRequest("no title")
        return upload


class _Budget:
    def __init__(self, limit: int) -> None:
        self._limit, self._left = limit, limit

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"larger than the limit of {self._limit} bytes")


async def _multipart(request: web.Request, folder: Path, budget: _Budget) -> Upload:
    upload = Upload()
    try:
        reader = await request.multipart()
        for number in range(MAX_PARTS):
            part = await asyncio.wait_for(reader.next(), STALL_S)
            if part is None:
                return upload
            if not isinstance(part, BodyPartReader):
                raise BadRequest("a part within a part")
            await _take(upload, part, folder / f"part-{number}", budget)
    except (ValueError, TimeoutError, AssertionError, HttpProcessingError):
        raise BadRequest("the multipart body is malformed or ends early") from None
    raise BadRequest(f"more than {MAX_PARTS} parts")


async def _take(upload: Upload, part: BodyPartReader, file: Path, budget: _Budget) -> None:
    name = part.name or ""
    if name in _TEXTS and name not in upload.texts:
        upload.texts[name] = await _text(part, budget)
    elif name == "master" and upload.master is None:
        await _save(lambda: part.read_chunk(PIECE), file, budget)
        upload.master = file
    elif name.startswith(_SUBTITLES):
        await _save(lambda: part.read_chunk(PIECE), file, budget)
        upload.subtitles.append((name.removeprefix(_SUBTITLES), file))
    else:
        raise BadRequest(f"a part is unknown or there twice: {name[:40]!r}")


async def _text(part: BodyPartReader, budget: _Budget) -> str:
    value = b""
    while piece := await asyncio.wait_for(part.read_chunk(MAX_TEXT), STALL_S):
        budget.spend(len(piece))
        value += piece
        if len(value) > MAX_TEXT:
            raise BadRequest(f"{part.name}: longer than {MAX_TEXT} bytes")
    return value.decode()


async def _save(read: Callable[[], Awaitable[bytes]], file: Path, budget: _Budget) -> None:
    async with aiofiles.open(file, "xb") as out:
        while piece := await asyncio.wait_for(_awaited(read), STALL_S):
            budget.spend(len(piece))
            await out.write(piece)


async def _awaited(read: Callable[[], Awaitable[bytes]]) -> bytes:
    return await read()
