"""An installation in the hands of somebody who makes mistakes, and of a machine that kills."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.client import Running
from kit.errors import SettingsError
from tests.support.clips import clip
from tests.support.installation import CLIP, ROOT, Installation, installation, until

pytestmark = pytest.mark.processes
UP = ("up", "--json", "--free-ports", "--profile", "smoke")


def _headrace(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headrace.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


def _of(state: Path, word: str = "") -> list[int]:
    """Processes whose command line names the state directory."""
    return [
        pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if {str(state), word} <= _words(pid, state)
    ]


def _words(pid: int, state: Path) -> set[str]:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return set()
    return {"", *line.split("\0"), *([str(state)] if str(state) in line else [])}


def test_a_state_directory_is_one_installation_s(running: Installation) -> None:
    """A second `up` would rewrite the first one's settings and remove its run.json."""
    before = running.run_file.read_bytes()
    done = _headrace(*UP, "--state", str(running.state), "--media", str(CLIP))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"runs there already (pid {running.process.pid})" in done.stderr
    assert running.run_file.read_bytes() == before


def test_what_an_installation_keeps_is_closed_to_others(running: Installation) -> None:
    """SEC: keys, tokens, credentials, and logs with viewers' addresses."""
    files = [running.state, *running.state.rglob("*")]
    assert len(files) > 30
    assert not [str(file) for file in files if stat.S_IMODE(file.lstat().st_mode) & 0o077]


def test_no_secret_is_in_a_log(running: Installation) -> None:
    """T-035: neither the operators' token nor a play token."""
    token = running.start()["manifestUrl"].split("/~")[1].split("/")[0]
    running.doctor()
    said = "".join(file.read_text(errors="replace") for file in (running.state / "logs").iterdir())
    assert '"path":"/api/v1/playback/start"' in said
    assert not [secret for secret in (token, running.operator_token.strip()) if secret in said]


def test_files_that_cannot_be_had_are_named(tmp_path: Path) -> None:
    done = _headrace("init", "--state", "/proc/none", "--node", "a:edge")
    assert (done.returncode, done.stderr) == (1, "headrace: /proc/none: No such file or directory\n")
    done = _headrace("init", "--state", str(tmp_path / "state"), "--node", "../../a:edge")
    assert (done.returncode, "an id is" in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*UP, "--media", "/nowhere.mp4"), "/nowhere.mp4: No such file"),
        ((*UP, "--media", "/dev/zero"), "/dev/zero: not a plain file"),
        ((*UP, "--profile", "king"), "unknown profile 'king'"),
        ((*UP, "--state", "/proc/none"), "--state /proc/none: "),
        ((*UP, "--state", __file__), f"--state {__file__}: "),
    ],
)
def test_mistakes_are_told_before_anything_starts(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    state = () if "--state" in arguments else ("--state", str(tmp_path / "state"))
    done = _headrace(*arguments, *state)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("line", ["[]", "{}", "null", '{"origin": 5, "contentId": "x"}', "{", "\udcff"])
def test_a_run_file_that_is_none_is_said_to_be(tmp_path: Path, line: str) -> None:
    (tmp_path / "run.json").write_text(line, errors="surrogateescape")
    (tmp_path / "operator.token").write_text("x" * 20)
    with pytest.raises(SettingsError, match=r"run\.json: "):
        Running.read(tmp_path / "run.json")


def test_a_pipe_is_no_film(running: Installation, tmp_path: Path) -> None:
    """Opening one waits for a writer, for ever."""
    os.mkfifo(tmp_path / "film.mp4")
    done = running.headrace("ingest", str(tmp_path / "film.mp4"), "--at", str(running.run_file))
    assert (done.returncode, "not a plain file" in done.stderr) == (2, True)


def test_killed_nothing_is_left_and_the_next_start_works(tmp_path: Path) -> None:
    """And any title can be brought in: markup of the progress display, bytes that are no UTF-8, a terminal's codes."""
    state, film = tmp_path / "state", clip(tmp_path / "film.mp4")
    with installation(state, media=film) as up:
        up.process.kill()
        until(lambda: not _of(state), 10, "the children die with it")
        assert up.run_file.exists()
    with installation(state, media=film) as up:
        assert up.doctor()["ok"]
        for title in ("[/b] a [red]title", os.fsdecode(b"Caf\xe9 No\xebl"), "a\x1b[2Jb"):
            done = up.headrace("ingest", str(film), "--at", str(up.run_file), "--title", title, "--no-wait")
            assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        _told_twice_it_waits_no_longer(up)


def _told_twice_it_waits_no_longer(up: Installation) -> None:
    """A child that hangs would hold up the drain for 40 s."""
    os.kill(up.line["edges"][0]["pid"], signal.SIGSTOP)
    up.process.send_signal(signal.SIGTERM)
    until(lambda: not up.run_file.exists(), 5, "the drain begins")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=10) == 0
    until(lambda: not _of(up.state), 5, "nothing is left")


def test_a_worker_that_dies_at_the_start_is_told(tmp_path: Path) -> None:
    """Without it the first film would be waited for without end."""
    state = tmp_path / "state"
    command = [sys.executable, "-m", "headrace.main", *UP, "--state", str(state), "--media", str(CLIP)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        until(lambda: _of(state, "worker"), 30, "there is a worker")
        os.kill(_of(state, "worker")[0], signal.SIGKILL)
        _, said = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "origin-worker ended with -9" in said
    assert not _of(state)
