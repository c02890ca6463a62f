"""The API's side of ingest: look at an upload, refuse or take it, queue the job. Runs no job itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbos import DBOS, DBOSClient, EnqueueOptions

from configs.schema.origin import OriginSettings, Profile
from kit.errors import BadRequest
from origin.catalog.service import Catalog
from origin.ingest import job as jobs
from origin.ingest import workflow
from origin.ingest.job import MAX_SUBTITLES, Job, Side, version_id
from origin.ingest.places import MASTER, Places, digest
from origin.transcode import languages, probe, tools

ALIVE = ["PENDING", "ENQUEUED", "DELAYED"]
"""States of a workflow that will still run (DBOS)."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The names of a job: of the title, and of the version that it will have."""

    content_id: str
    version: str


class Ingest:
    """Takes masters. Build with `open`, end with `close`."""

    def __init__(self, client: DBOSClient, catalog: Catalog, places: Places) -> None:
        self._client, self._catalog, self._places = client, catalog, places
        self._taking = asyncio.Lock()

    @classmethod
    async def open(cls, settings: OriginSettings, catalog: Catalog) -> "Ingest":
        """Connect to the workflow database, made if need be: the API may start before any worker."""
        client = await asyncio.to_thread(_connect, workflow_url(settings))
        return cls(client, catalog, Places(settings.state_dir))

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.destroy)

    async def submit(
        self,
        file: Path,
        title: str,
        content_id: str | None,
        profile: Profile,
        subtitles: Sequence[tuple[str, Path]] = (),
        *,
        keep: bool = False,
    ) -> Submitted:
        """Check `file` and its subtitles (language, file), then take them and queue the job (ING-02).

        The files are moved away; with `keep` they stay. Unprocessable or BadRequest with one line before anything is
        stored or any file touched. The same master, subtitles and profile again are the same version: what is ready or
        under way is not done twice, what failed is tried anew, an earlier version is what viewers get again.
        """
        name = jobs.content_id(content_id, title)
        sides = _languages(subtitles)
        await probe.probe(file, profile)
        for path in sides.values():
            await probe.subtitle(path)
        job = await asyncio.to_thread(_job, name, title, file, profile, sides)
        files = {MASTER: file} | {f"{tag}.text": path for tag, path in sides.items()}
        async with self._taking:  # of two that bring the same, the second sees the first one's job
            await self._take(job, files, keep=keep)
        return Submitted(job.content_id, job.version)

    async def waiting(self, submitted: Submitted) -> bool:
        """Whether the job is queued or under way: a title is in the catalog only once a worker began."""
        return await self._alive(f"{submitted.content_id}.{submitted.version}")

    async def _take(self, job: Job, files: dict[str, Path], *, keep: bool) -> None:
        if await self._catalog.recall(job.content_id, job.version, job.title) or await self._alive(job.key):
            files = {} if keep else files
            await asyncio.to_thread(_unlink, files)
            return
        await self._client.delete_workflows_async([job.key])
        await asyncio.to_thread(self._places.accept, job.key, files, keep=keep)
        options: EnqueueOptions = {
            "workflow_name": workflow.NAME,
            "queue_name": workflow.QUEUE,
            "workflow_id": job.key,
            "app_version": workflow.APPLICATION_VERSION,
        }
        await self._client.enqueue_async(options, job.dump())

    async def _alive(self, key: str) -> bool:
        found = await self._client.list_workflows_async(workflow_ids=[key], status=ALIVE, load_input=False)
        return bool(found)


def workflow_url(settings: OriginSettings) -> str:
    """The database of durable workflows."""
    return settings.workflow_url or f"sqlite:///{settings.state_dir.absolute()}/workflows.db"


def _connect(url: str) -> DBOSClient:
    DBOS.migrate(url)
    return DBOSClient(system_database_url=url, application_name=workflow.APPLICATION, retry_connection_errors=False)


def _languages(subtitles: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    if len(subtitles) > MAX_SUBTITLES:
        raise BadRequest(f"at most {MAX_SUBTITLES} subtitle files")
    found: dict[str, Path] = {}
    for language, path in subtitles:
        tag = languages.tag(language)
        if tag == languages.UNKNOWN:
            raise BadRequest(f"not a language tag: {language[:40]!r}; `en` or `pt-BR`")
        if tag in found:
            raise BadRequest(f"two subtitle files in {tag}")
        found[tag] = path
    return found


def _job(name: str, title: str, file: Path, profile: Profile, sides: dict[str, Path]) -> Job:
    master = digest(file)
    texts = tuple(Side(tag, digest(path)) for tag, path in sides.items())
    version = version_id(master, texts, profile, tools.encoder_version())
    return Job(name, version, jobs.shown(title), master, file.stat().st_size, profile, texts)


def _unlink(files: dict[str, Path]) -> None:
    for path in files.values():
        path.unlink(missing_ok=True)
