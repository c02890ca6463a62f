"""What a person sees of a start."""

from pathlib import Path

import pytest

from headrace.up.show import Show

LINE = {"player": "http://o/watch/x", "console": "http://c", "origin": "http://o", "edges": []}


def test_the_playlist_stands_unfolded_and_doctor_is_told_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    playlist = f"http://127.0.0.1:8301/~{'x' * 300}[/b]/master.m3u8"
    Show(quiet=False).summary(LINE | {"playlist": playlist}, state=Path("/s"), notes=[])
    said = capsys.readouterr().err
    assert playlist in said.splitlines()
    assert "headrace doctor --at /s/run.json" in said
    Show(quiet=False).summary(LINE | {"playlist": playlist}, state=Path(".headrace").resolve(), notes=["no redis"])
    said = capsys.readouterr().err
    assert "--at" not in said
    assert "no redis" in said


def test_any_text_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A title is no markup."""
    with Show(quiet=False) as show:
        step = show.step("[/b] a [red]title")
        show.update(step, 0.5, "[/i] half")
    assert "[/b] a [red]title" in capsys.readouterr().err
