"""The order of an ingest's steps, durable: each finished step is on record, so a restart goes on after the last one.

Start here. Nothing is decided outside steps, so that a replay takes the same way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from dbos import DBOS, StepOptions

from kit import log
from kit.errors import HeadraceError
from origin.ingest import plan
from origin.ingest.job import Job
from origin.ingest.pipeline import Pipeline
from origin.ingest.progress import Progress, told
from origin.transcode.describe import Probe

APPLICATION = "headrace-origin"
NAME = "ingest"
QUEUE = "ingest"
APPLICATION_VERSION = "ingest-1"
"""Set by hand (contracts.md): raised when the steps or their order change, so that no old job is replayed wrongly."""
Track = Callable[[], Coroutine[Any, Any, None]]
MAX_RECOVERIES = 20
"""A job that was under way so many times when its worker died is left alone."""


def register(pipeline: Pipeline, parallel: int) -> Callable[[], Awaitable[None]]:
    """Make the workflow known to DBOS. Returns a stop: it ends jobs under way, which a later start resumes.

    `parallel` bounds the encoders that run at once.
    """
    running: set[asyncio.Task[Any]] = set()

    @DBOS.workflow(name=NAME, max_recovery_attempts=MAX_RECOVERIES)
    async def ingest(values: dict[str, Any]) -> str:
        task = asyncio.current_task()
        assert task
        running.add(task)
        try:
            return await _run(pipeline, Job.load(values), asyncio.Semaphore(parallel))
        finally:
            running.discard(task)

    async def stop() -> None:
        # Cancelling records nothing: the job stays pending.
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(set(running))

    return stop


async def _run(pipeline: Pipeline, job: Job, slots: asyncio.Semaphore) -> str:
    """`ready`, or `failed` with the reason in the catalog."""
    try:
        if await _step("begin", pipeline.begin, job):
            seen = await _step("probe", pipeline.look, job)
            await _encode(pipeline, job, seen, slots)
            await _step("package", pipeline.pack, job, seen)
            await _step("verify", pipeline.check, job, seen)
            await _step("publish", pipeline.publish, job, seen)
        await _step("clean", pipeline.clean, job)
    except Exception as error:
        reason = _one_line(error)
        log.get("ingest").error("failed", job=job.key, error=repr(error))
        await _step("fail", pipeline.fail, job, reason)
        return "failed"
    log.get("ingest").info("ready", job=job.key)
    return "ready"


async def _encode(pipeline: Pipeline, job: Job, seen: Probe, slots: asyncio.Semaphore) -> None:
    """Every track is a step of its own, so that a restart encodes only what is missing."""
    found = plan.tracks(job, seen)
    progress = Progress(found.weights)
    work: list[Track] = []
    # Numbers of steps are drawn here, in one order, whatever order the tracks end in.
    for rung in found.rungs:
        run = DBOS.reserve_step().run_async
        work.append(partial(run, {"name": f"encode {rung.name}"}, pipeline.video, job, seen, rung, progress))
    for name, track in found.audio:
        run = DBOS.reserve_step().run_async
        work.append(partial(run, {"name": f"encode {name}"}, pipeline.audio, job, seen, name, track, progress))
    for text in found.text:
        run = DBOS.reserve_step().run_async
        work.append(partial(run, {"name": f"text {text.name}"}, pipeline.text, job, seen, text))
    async with told(pipeline.catalog, job, progress):
        await _all([_bounded(each, slots) for each in work])


async def _bounded(work: Track, slots: asyncio.Semaphore) -> None:
    async with slots:
        await work()


async def _all(work: list[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; the first failure ends the others and is raised as it is."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _step(name: str, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
    """A step that is tried again when the fault is not the job's: a busy database, a disk that comes back."""
    options: StepOptions = {"name": name, "retries_allowed": True, "max_attempts": 4, "should_retry": _may_pass}
    return await DBOS.run_step_async(options, work, *arguments)


def _may_pass(error: BaseException) -> bool:
    return error.retry if isinstance(error, HeadraceError) else not isinstance(error, ValueError)


def _one_line(error: Exception) -> str:
    """What an operator reads; an unknown error is ours, and its details are in the log only."""
    if isinstance(error, HeadraceError):
        return " ".join(str(error).split())[:300]
    if isinstance(error, OSError) and error.strerror:
        return f"internal error: {error.strerror}"
    return f"internal error: {type(error).__name__}"
