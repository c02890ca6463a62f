"""Ingest through a real worker process: ING-02, ING-08, ING-20, ING-21, T-002, T-006."""

import asyncio
import random
import shutil
import time
from pathlib import Path

import m3u8
import pytest

from kit.errors import BadRequest, Unprocessable
from origin.catalog.models import Published
from origin.catalog.states import State
from origin.ingest.service import Submitted
from tests.media.conftest import SMALL, Origin, children, gone, kill
from tests.media.test_probe import bad_files
from tests.support.clips import VTT, clip

pytestmark = pytest.mark.processes

# Slow enough that a rung takes a while, so that a kill falls into the second one.
SLOW = SMALL.model_copy(update={"preset": "veryslow"})


def _upload(folder: Path, seconds: float = 5) -> Path:
    return clip(folder / "upload.mp4", size="320x180", seconds=seconds, more=("-metadata:s:a:0", "language=eng"))


def _side(folder: Path, text: str = VTT) -> tuple[str, Path]:
    (folder / "side.vtt").write_text(text)
    return "de", folder / "side.vtt"


def _digests(found: Published) -> dict[str, str]:
    return {name: asset.digest for name, asset in found.assets.items()}


async def test_a_master_becomes_a_published_title(origin: Origin, tmp_path: Path) -> None:
    worker = origin.start(parallel=3)
    file, side = _upload(tmp_path), _side(tmp_path)
    submitted = await origin.ingest.submit(file, "A  Film", None, SMALL, [side])
    assert submitted.content_id == "a-film" and await origin.ingest.waiting(submitted)
    assert not file.exists() and not side[1].exists()
    title = await origin.ended("a-film")
    assert (title.state, title.detail, title.title, title.master_resolution) == (State.READY, "", "A Film", "320x180")
    found = await origin.published(title)
    assert (found.version, found.duration_s) == (submitted.version, 5.0)
    assert [(r.name, r.width, r.height, r.codec, r.kbps) for r in found.rungs] == [
        ("v180", 320, 180, "h264", 400),
        ("v144", 256, 144, "h264", 200),
    ]
    master = m3u8.loads(origin.store.path_of(found.assets["master.m3u8"].digest).read_text())
    assert [each.uri for each in master.playlists] == ["v144.m3u8", "v180.m3u8"]
    assert {(each.type, each.language) for each in master.media} == {("AUDIO", "en"), ("SUBTITLES", "de")}
    kinds = {asset.kind for asset in found.assets.values()}
    assert kinds == {"master", "playlist", "init", "segment", "subtitle"}
    await _said_again(origin, tmp_path, submitted)
    worker.terminate()
    assert worker.wait(20) == 0
    assert origin.left() == []
    assert {"taking jobs", "ready", "stopping"} <= {event["event"] for event in origin.events(0)}


async def _said_again(origin: Origin, tmp_path: Path, submitted: Submitted) -> None:
    """The same bytes again are the same version and no second job."""
    again = await origin.ingest.submit(_upload(tmp_path), "A Film", "a-film", SMALL, [_side(tmp_path)])
    assert again == submitted and not await origin.ingest.waiting(again)
    assert not (tmp_path / "upload.mp4").exists()


async def test_a_killed_workers_job_goes_on_without_redoing_a_finished_rung(origin: Origin, tmp_path: Path) -> None:
    file = _upload(tmp_path, seconds=10)
    twin = tmp_path / "twin.mp4"
    shutil.copy(file, twin)
    worker = origin.start()
    submitted = await origin.ingest.submit(file, "Film", "film", SLOW)
    work = origin.folder / "work" / f"film.{submitted.version}"
    await origin.until_exists(work / ".part-v144.mp4")
    first = (work / "v180.mp4").stat()
    below = list(children(worker.pid))
    kill(worker)
    assert below and all([await gone(each) for each in below]), "an encoder outlived its worker"
    assert not (work / "v144.mp4").exists(), "killed too late to prove anything"
    assert (await origin.catalog.published("film", submitted.version)) is None

    origin.start()
    await origin.until_exists(work / "v144.mp4")
    assert (work / "v180.mp4").stat() == first
    title = await origin.ended("film")
    assert (title.state, title.detail) == (State.READY, "")
    encoded = [[event["track"] for event in origin.events(n) if event["event"] == "encoded"] for n in (0, 1)]
    assert (encoded[0] in (["v180"], []), encoded[1]) == (True, ["v144", "a_en"])
    found = await origin.published(title)

    # The proof that nothing was half done: the same film as another title, undisturbed, has the same bytes.
    await origin.ingest.submit(twin, "Twin", "twin", SLOW)
    other = await origin.published(await origin.ended("twin"))
    assert _digests(found) == _digests(other)


async def test_a_stopped_worker_leaves_its_job_to_the_next(origin: Origin, tmp_path: Path) -> None:
    worker = origin.start()
    submitted = await origin.ingest.submit(_upload(tmp_path, seconds=10), "Film", "film", SLOW)
    await origin.until_exists(origin.folder / "work" / f"film.{submitted.version}" / ".part-v180.mp4")
    below = list(children(worker.pid))
    worker.terminate()
    assert worker.wait(20) == 0
    assert all([await gone(each) for each in below])
    assert await origin.ingest.waiting(submitted)
    origin.start()
    assert (await origin.ended("film")).state == State.READY


async def test_bad_input_is_refused_and_leaves_nothing(origin: Origin, tmp_path: Path) -> None:
    """ING-02: probed and refused before anything is stored; the caller's file is not touched."""
    folder = tmp_path / "bad"
    folder.mkdir()
    good = _upload(tmp_path)
    for name, file in bad_files(folder).items():
        with pytest.raises(Unprocessable):
            await origin.ingest.submit(file, name, None, SMALL)
        assert file.exists() == (name != "not there")
    (tmp_path / "side.vtt").write_text("WEBVTT\n\nno times\n")
    for language, error in (("de", Unprocessable), ("../x", BadRequest), ("", BadRequest)):
        with pytest.raises(error):
            await origin.ingest.submit(good, "Film", None, SMALL, [(language, tmp_path / "side.vtt")])
    with pytest.raises(BadRequest):
        await origin.ingest.submit(good, "Film", "../../x", SMALL)
    assert await origin.catalog.titles() == []
    assert origin.left() == [] and list(origin.store.root.rglob("*")) == []
    assert good.exists()


async def test_a_failed_job_says_why_leaves_nothing_and_may_be_tried_again(origin: Origin, tmp_path: Path) -> None:
    origin.start()
    late = "WEBVTT\n\n01:00:00.000 --> 01:00:01.000\nLong after\n"
    for _ in range(2):
        await origin.ingest.submit(_upload(tmp_path), "Film", "film", SMALL, [_side(tmp_path, late)])
        title = await origin.ended("film")
        assert (title.state, title.detail) == (State.FAILED, "the subtitles in de have no cue within the film")
        assert title.current is None
    submitted = await origin.ingest.submit(_upload(tmp_path), "Film", "film", SMALL, [_side(tmp_path)])
    await _until_ready(origin, submitted)
    assert origin.left() == []


async def test_a_title_whose_job_is_lost_is_ended_at_start(origin: Origin) -> None:
    """T-002: no title stays half-way for ever."""
    await origin.catalog.add_title("lost", "Lost", "small", "abc", {})
    await origin.catalog.set_state("lost", "abc", State.ENCODING, "12 %")
    origin.start()
    title = await origin.ended("lost")
    assert (title.state, title.detail) == (State.FAILED, "interrupted and given up; ingest it again")


async def _until_ready(origin: Origin, submitted: Submitted) -> None:
    while await origin.ingest.waiting(submitted):
        origin.still_running()
        await origin.ended(submitted.content_id)
    title = await origin.catalog.title(submitted.content_id)
    assert title and (title.state, title.current) == (State.READY, submitted.version)


@pytest.mark.soak
async def test_killed_again_and_again_it_still_ends_well(origin: Origin, tmp_path: Path) -> None:
    """Ten kills at moments that a seed chooses; the end is as if there had been none."""
    chance = random.Random(2026)
    twin = shutil.copy(_upload(tmp_path, seconds=10), tmp_path / "twin.mp4")
    submitted = await origin.ingest.submit(tmp_path / "upload.mp4", "Film", "film", SLOW)
    for _ in range(10):
        worker = origin.start()
        await _for(chance.uniform(1.5, 5.0))
        kill(worker)
        assert await origin.ingest.waiting(submitted) or await origin.catalog.current("film")
    origin.start()
    found = await origin.published(await origin.ended("film"))
    await origin.ingest.submit(Path(twin), "Twin", "twin", SLOW)
    assert _digests(found) == _digests(await origin.published(await origin.ended("twin")))


async def _for(seconds: float) -> None:
    """Let the worker run: the moment of a kill is the only thing that is timed here."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.01)
