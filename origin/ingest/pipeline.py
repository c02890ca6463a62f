"""The steps of an ingest. Each may run again after a crash: it looks for its result before it starts (ING-21), makes
it under a temporary name and renames it when whole."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from kit import log
from kit.errors import Unprocessable
from origin.assets import ObjectStore
from origin.catalog.models import Asset, AssetKind, RungInfo
from origin.catalog.service import Catalog
from origin.catalog.states import State
from origin.contract.urls import MASTER_DASH, MASTER_HLS
from origin.ingest import plan
from origin.ingest.job import Job
from origin.ingest.places import Places, made
from origin.ingest.progress import LAST, Progress
from origin.packaging.hls import Title
from origin.packaging.media import Media
from origin.packaging.package import content_type, measured, package
from origin.packaging.verify import verify
from origin.transcode import encode
from origin.transcode.describe import Probe, Track
from origin.transcode.ladder import Encode
from origin.transcode.probe import probe

TEXT_KBPS = 100
"""Bounds the size of a subtitle track."""
PACKAGE = "package"
STORED_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps and what they work on."""

    catalog: Catalog
    store: ObjectStore
    places: Places

    async def begin(self, job: Job) -> bool:
        """The title's row (T-002). False where the version is published already: nothing is left to do."""
        if await self.catalog.published(job.content_id, job.version):
            return False
        source = {"sha256": job.digest, "bytes": job.size}
        await self.catalog.add_title(job.content_id, job.title, job.profile.name, job.version, source)
        await self.catalog.set_state(job.content_id, job.version, State.QUEUED, progress=0.0)
        return True

    async def look(self, job: Job) -> Probe:
        """What the master is. Unprocessable where it cannot be used."""
        await self.catalog.set_state(job.content_id, job.version, State.PROBING)
        seen = await probe(self.places.master(job.key), job.profile)
        await self.catalog.note_master(
            job.content_id, width=seen.width, height=seen.height, duration_s=seen.duration_s, hdr_format=seen.hdr
        )
        return seen

    async def video(self, job: Job, seen: Probe, rung: Encode, progress: Progress) -> None:
        """One rung."""
        timing = plan.tracks(job, seen).timing

        async def make(part: Path) -> None:
            command = encode.video_command(self._master(job), seen, rung, timing, job.profile.preset, part)
            await encode.encode(command, seen.duration_s, rung.kbps, _reporter(progress, rung.name))

        await self._encoded(job, rung.name, make, progress)

    async def audio(self, job: Job, seen: Probe, name: str, track: Track, progress: Progress) -> None:
        """The sound of one language."""

        async def make(part: Path) -> None:
            command = encode.audio_command(self._master(job), track, job.profile.audio, part)
            await encode.encode(command, seen.duration_s, job.profile.audio.kbps, _reporter(progress, name))

        await self._encoded(job, name, make, progress)

    async def text(self, job: Job, seen: Probe, text: plan.Text) -> None:
        """The subtitles of one language as WebVTT (ING-07). Unprocessable where nothing is said in them."""
        source = self._master(job) if text.index is not None else self.places.side(job.key, text.language)

        async def make(part: Path) -> None:
            command = encode.subtitle_command(source, text.index or 0, seen.duration_s, part)
            await encode.encode(command, seen.duration_s, TEXT_KBPS)
            if "-->" not in await asyncio.to_thread(part.read_text, "utf-8"):
                raise Unprocessable(f"the subtitles in {text.language} have no cue within the film")

        await made(plan.encoded(await self._work(job), text.name, ".vtt"), make)

    async def pack(self, job: Job, seen: Probe) -> None:
        """Segments and manifests (MAN-01)."""
        await self._note(job, State.PACKAGING)
        work = await self._work(job)

        async def make(part: Path) -> None:
            await asyncio.to_thread(part.mkdir)
            await package(plan.packing(job, plan.tracks(job, seen), work), part)

        await made(work / PACKAGE, make)

    async def check(self, job: Job, seen: Probe) -> None:
        """Everything that must hold before a byte is stored (T-006). NotVerified otherwise."""
        await self._note(job, State.VERIFYING)
        await asyncio.to_thread(self._verify, job, seen)

    async def publish(self, job: Job, seen: Probe) -> None:
        """Store every file, then make the version current in one transaction: it is never half there (T-006, T-008)."""
        work = await self._work(job)
        files, title = await asyncio.to_thread(self._packed, job, seen)
        assets: list[Asset] = []
        for first in range(0, len(files), STORED_AT_ONCE):
            batch = files[first : first + STORED_AT_ONCE]
            assets += await asyncio.gather(*(self._stored(work / PACKAGE, name) for name in batch))
        rungs = [RungInfo(r.name, r.height, r.width, _family(r), r.kbps) for r in title.video]
        seconds = float(max(rung.duration for rung in title.video))
        await self.catalog.publish(job.content_id, job.version, assets, rungs, seconds)

    async def clean(self, job: Job) -> None:
        """Remove the job's files; what is published lies in the store."""
        await asyncio.to_thread(self.places.remove, job.key)

    async def fail(self, job: Job, reason: str) -> None:
        """Note a failure with its one line and remove the job's files."""
        await self._note(job, State.FAILED, reason)
        await self.clean(job)

    def _master(self, job: Job) -> Path:
        return self.places.master(job.key)

    async def _work(self, job: Job) -> Path:
        return await asyncio.to_thread(self.places.work, job.key)

    async def _note(self, job: Job, state: State, detail: str = "") -> None:
        progress = {State.PACKAGING: LAST, State.VERIFYING: LAST + 0.02}.get(state)
        await self.catalog.set_state(job.content_id, job.version, state, detail, progress=progress)

    async def _encoded(self, job: Job, name: str, make: Callable[[Path], Awaitable[None]], progress: Progress) -> None:
        fresh = await made(plan.encoded(await self._work(job), name), make)
        log.get("ingest").info("encoded" if fresh else "encoded before", job=job.key, track=name)
        progress.report(name, 1.0)

    def _packed(self, job: Job, seen: Probe) -> tuple[list[str], Title]:
        """Names of all files below the version, and the measured title."""
        work = self.places.work(job.key)
        root = work / PACKAGE
        names = sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())
        return names, measured(plan.packing(job, plan.tracks(job, seen), work), root)

    def _verify(self, job: Job, seen: Probe) -> None:
        _, title = self._packed(job, seen)
        verify(self.places.work(job.key) / PACKAGE, title, seen.duration_s, exact=seen.exact)

    async def _stored(self, root: Path, name: str) -> Asset:
        stored = await self.store.put_file(root / name)
        return Asset(name, stored.digest, stored.size, content_type(name), kind_of(name))


def kind_of(name: str) -> AssetKind:
    """What a file of a version is, by its name."""
    if name in (MASTER_HLS, MASTER_DASH):
        return "master"
    if name.endswith(".m3u8"):
        return "playlist"
    if name.endswith(".vtt"):
        return "subtitle"
    return "init" if name.endswith("/init.mp4") else "segment"


def _family(media: Media) -> str:
    """`h264` or `hevc`, as profiles say it."""
    return "hevc" if media.codec.startswith("hvc1") else "h264"


def _reporter(progress: Progress, name: str) -> encode.Report:
    return lambda fraction, _fps, speed: progress.report(name, fraction, speed)
