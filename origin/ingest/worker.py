"""The process that runs ingest jobs: `python -m origin.ingest.worker --config FILE`. It listens on no port.

Killed in the middle of a job, it goes on with it when started again under the same `executor_id`.
"""

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from dbos import DBOS, DBOSConfig

from configs.load import load
from configs.schema.origin import OriginSettings
from kit import log, service
from kit.errors import Conflict, SettingsError
from origin.assets import ObjectStore
from origin.catalog.engine import default_url
from origin.catalog.migrate import migrate
from origin.catalog.service import Catalog
from origin.catalog.states import State
from origin.ingest import workflow
from origin.ingest.pipeline import Pipeline
from origin.ingest.places import Places
from origin.ingest.presence import present
from origin.ingest.service import ALIVE, workflow_url

ORPHAN_S = 3600.0
"""Files without a job are removed at start when they have not been touched for so long."""
POLL_S = 0.5
SWEPT_AT_ONCE = 10_000
INTERRUPTED = "interrupted and given up; ingest it again"
Ready = Callable[[], Awaitable[None]]


async def run_worker(settings: OriginSettings, ready: Ready | None = None) -> None:
    """Run jobs, one at a time, until SIGTERM or SIGINT; a job under way is then left to the next start.

    `ready` is awaited once jobs are taken.
    """
    stop = service.stop_signal()
    with present(settings.state_dir):
        await _run(settings, stop, ready)


async def _run(settings: OriginSettings, stop: asyncio.Event, ready: Ready | None) -> None:
    database = settings.database_url or default_url(str(settings.state_dir.absolute()))
    await migrate(database)
    catalog = Catalog.open(database)
    store = ObjectStore(settings.objects_dir or settings.state_dir / "objects")
    try:
        places = Places(settings.state_dir)
        end = workflow.register(Pipeline(catalog, store, places), settings.encode_parallel)
        await _launch(settings)
        try:
            await _sweep(catalog, places)
            log.get("worker").info("taking jobs", executor=settings.executor_id)
            if ready:
                await ready()
            await stop.wait()
        finally:
            log.get("worker").info("stopping")
            await end()
            # In a thread: its own threads may be waiting for this loop.
            await asyncio.to_thread(DBOS.destroy)
    finally:
        store.close()
        await catalog.close()


async def _launch(settings: OriginSettings) -> None:
    config: DBOSConfig = {
        "name": workflow.APPLICATION,
        "system_database_url": workflow_url(settings),
        "application_version": workflow.APPLICATION_VERSION,
        "executor_id": settings.executor_id,
        "enable_otlp": False,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": POLL_S,
    }
    # With a handler of its own DBOS prints plain lines; with ours its warnings become events like all others.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    DBOS(config=config)
    # On this loop and not in a thread: the workflows then run here, where the catalog's connections are.
    DBOS.launch()
    await DBOS.register_queue_async(
        workflow.QUEUE, worker_concurrency=1, polling_interval_sec=POLL_S, on_conflict="always_update"
    )


async def _sweep(catalog: Catalog, places: Places) -> None:
    """Put an end to what no job will end: titles half-way, files of nobody (T-002)."""
    titles = await catalog.titles(limit=SWEPT_AT_ONCE)
    # After the titles: a job that begins in between is in this list.
    alive = await DBOS.list_workflows_async(status=ALIVE, load_input=False, load_output=False)
    keys = {each.workflow_id for each in alive}
    for title in titles:
        if title.state not in (State.READY, State.FAILED) and f"{title.content_id}.{title.version}" not in keys:
            with contextlib.suppress(Conflict):  # it became ready in between
                await catalog.set_state(title.content_id, title.version, State.FAILED, INTERRUPTED)
    swept = await asyncio.to_thread(places.sweep, keys, now=time.time(), grace_s=ORPHAN_S)
    if swept:
        log.get("worker").warning("removed files without a job", names=swept)


def main(settings_file: Path) -> None:
    """Run a worker with the settings in that file. Exits with 2 where they are wrong."""
    try:
        settings = load(OriginSettings, file=settings_file, process="origin")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    log.setup("origin-worker")
    service.run(run_worker(settings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run ingest jobs.")
    parser.add_argument("--config", type=Path, required=True, help="settings of origin (TOML)")
    main(parser.parse_args().config)
