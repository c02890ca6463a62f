"""The demo's own film: present, licensed, and exactly as long as it says."""

from pathlib import Path

from configs import profiles
from origin.ingest import demo
from origin.transcode.probe import probe, subtitle
from tests.support.clips import keyframes


async def test_the_clip_is_looped_to_two_minutes_once(tmp_path: Path) -> None:
    master = await demo.demo_master(tmp_path)
    seen = await probe(master, profiles.get("demo"))
    assert (seen.width, seen.height, seen.fps, seen.duration_s) == (1280, 720, 24, 120.0)
    assert [(each.language, each.channels) for each in seen.audio] == [("en", 2)]
    assert all(frame in keyframes(master) for frame in (0, 720, 1440, 2160))
    before = master.stat()
    assert await demo.demo_master(tmp_path) == master and master.stat() == before
    assert list(tmp_path.iterdir()) == [master]


async def test_subtitles_are_readable_and_in_two_languages() -> None:
    found = demo.demo_subtitles()
    assert [language for language, _ in found] == ["de", "en"]
    cues = []
    for _, file in found:
        await subtitle(file)
        cues.append([line for line in file.read_text().splitlines() if "-->" in line])
    assert cues[0] == cues[1] and len(cues[0]) >= 8


def test_the_licence_lies_beside_the_clip() -> None:
    text = demo.CLIP.with_name("LICENSES.txt").read_text()
    assert demo.CLIP.name in text and "CC BY 3.0" in text and "Blender Foundation" in text
    assert demo.CLIP.stat().st_size < 6 * 10**6
