"""Jobs, their names and their places: ING-21, C-81; pure or on a temporary folder."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from configs import profiles
from kit.errors import BadRequest
from origin.contract.urls import is_id
from origin.ingest import plan
from origin.ingest.job import Job, Side, content_id, shown, version_id
from origin.ingest.places import Places, made
from origin.ingest.progress import Progress
from origin.transcode import languages
from origin.transcode.describe import describe
from tests.media.test_probe import AUDIO, VIDEO

DEMO = profiles.get("demo")
SIDES = (Side("en", "1" * 64), Side("de", "2" * 64))
JOB = Job("film", "abc", "Film", "0" * 64, 10, DEMO, SIDES)


def test_a_job_survives_being_written_down() -> None:
    assert Job.load(JOB.dump()) == JOB


def test_a_version_names_everything_that_its_bytes_depend_on() -> None:
    """ING-21: bytes, subtitles, rung definitions, encoder version."""
    names = {
        version_id("0" * 64, SIDES, DEMO, "encoder 1"),
        version_id("3" * 64, SIDES, DEMO, "encoder 1"),
        version_id("0" * 64, SIDES[:1], DEMO, "encoder 1"),
        version_id("0" * 64, SIDES, DEMO.model_copy(update={"preset": "slow"}), "encoder 1"),
        version_id("0" * 64, SIDES, DEMO, "encoder 2"),
    }
    assert len(names) == 5 and all(is_id(name) and len(name) == 16 for name in names)
    assert version_id("0" * 64, SIDES[::-1], DEMO, "encoder 1") in names


@pytest.mark.parametrize(
    ("given", "title", "found"),
    [
        (None, "Big Buck Bunny", "big-buck-bunny"),
        (None, "  Zwölf: Häuser & Co. ", "zwolf-hauser-co"),
        (None, "x" * 100, "x" * 64),
        ("my-id", "anything", "my-id"),
    ],
)
def test_content_ids(given: str | None, title: str, found: str) -> None:
    assert content_id(given, title) == found


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        (" Big\n Buck\tBunny ", "Big Buck Bunny"),
        ("a\x1b[2Jb\x00\x85", "a[2Jb"),
        ("می‌خواهم <b>&", "می‌خواهم <b>&"),
        ("é" * 300, "é" * 200),
    ],
)
def test_a_title_is_kept_without_what_acts_on_terminals(title: str, kept: str) -> None:
    assert shown(title) == kept


@pytest.mark.parametrize(("given", "title"), [("../x", "t"), ("", "t"), ("A", "t"), (None, "日本"), (None, "")])
def test_bad_content_ids_are_refused(given: str | None, title: str) -> None:
    with pytest.raises(BadRequest):
        content_id(given, title)


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        ("eng", "en"),
        ("EN", "en"),
        ("pt-BR", "pt-BR"),
        ("ger", "de"),
        ("", "und"),
        (None, "und"),
        ("a/../b", "und"),
        ("english", "und"),
    ],
)
def test_language_tags(said: str | None, tag: str) -> None:
    assert languages.tag(said) == tag


def test_one_track_a_language_and_side_files_go_first() -> None:
    seen = describe({
        "streams": [
            VIDEO,
            AUDIO | {"index": 1, "tags": {"language": "fre"}},
            AUDIO | {"index": 2, "tags": {"language": "eng"}, "channels": 6},
            AUDIO | {"index": 3, "tags": {"language": "fra"}},
            {"index": 4, "codec_type": "subtitle", "codec_name": "subrip", "tags": {"language": "eng"}},
            {"index": 5, "codec_type": "subtitle", "codec_name": "subrip", "tags": {"language": "spa"}},
        ]
    })  # fmt: skip
    found = plan.tracks(JOB, seen)
    assert [(name, track.index) for name, track in found.audio] == [("a_fr", 1), ("a_en", 2)]
    assert [(text.name, text.index) for text in found.text] == [("t_en", None), ("t_de", None), ("t_es", 5)]
    packed = plan.packing(JOB, found, Path("/w")).tracks
    assert [(each.name, each.channels) for each in packed if each.kind == "audio"] == [("a_fr", 2), ("a_en", 2)]
    assert [each.name for each in packed if each.wvtt] == ["td_en", "td_de", "td_es"]


def test_progress_is_weighed_and_never_goes_back() -> None:
    progress = Progress({"v720": 3.0, "v360": 1.0})
    progress.report("v360", 1.0, 2.0)
    progress.report("v720", 0.5)
    progress.report("v720", 0.25)
    assert (progress.fraction, progress.text) == (0.625, "62 %, 2.0x")


@pytest.mark.parametrize("keep", [True, False])
def test_files_are_taken_whole_and_once(keep: bool, tmp_path: Path) -> None:
    places = Places(tmp_path / "state")
    for _ in range(2):
        (tmp_path / "up").write_bytes(b"master")
        places.accept("job", {"master": tmp_path / "up"}, keep=keep)
        assert (tmp_path / "up").exists() == keep
    assert places.master("job").read_bytes() == b"master"
    assert [each.name for each in (tmp_path / "state/incoming").iterdir()] == ["job"]
    places.work("job")
    places.remove("job")
    assert not list((tmp_path / "state").glob("*/*"))


def test_nothing_is_taken_when_one_file_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"master")
    with pytest.raises(OSError, match="missing"):
        Places(tmp_path).accept("job", {"master": tmp_path / "up", "en.text": tmp_path / "missing"}, keep=False)
    assert not list((tmp_path / "incoming").iterdir()) and (tmp_path / "up").exists()


def test_orphans_are_swept_and_jobs_are_not(tmp_path: Path) -> None:
    places = Places(tmp_path)
    for key in ("alive", "orphan", "fresh"):
        os.utime(places.work(key), (1000, 1000) if key != "fresh" else (5000, 5000))
    assert places.sweep({"alive"}, now=5000, grace_s=3600) == ["orphan"]
    assert {each.name for each in (tmp_path / "work").iterdir()} == {"alive", "fresh"}


async def test_made_is_all_or_nothing_and_only_once(tmp_path: Path) -> None:
    """ING-21: a step looks for its result before it starts."""
    target, calls = tmp_path / "v720.mp4", []

    async def make(part: Path) -> None:
        calls.append(part)
        assert not part.exists() and not target.exists()
        part.write_bytes(b"half")
        if len(calls) == 1:
            raise OSError("disk full")

    (tmp_path / ".part-v720.mp4").write_bytes(b"left by a killed worker")
    with pytest.raises(OSError, match="disk full"):
        await made(target, make)
    assert not list(tmp_path.iterdir())
    assert await made(target, make)
    assert not await made(target, make)
    assert len(calls) == 2 and target.read_bytes() == b"half"


def test_keys_keep_titles_apart() -> None:
    assert replace(JOB, content_id="other").key != JOB.key
