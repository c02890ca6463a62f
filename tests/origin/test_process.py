"""The origin API as a real process."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.origin import installation
from tests.support.clips import clip

START_S = 20.0


def config(home: Path) -> Path:
    """A settings file for an origin below `home`."""
    made = installation.settings(home)
    file = home / "origin.toml"
    file.write_text(
        "\n".join(
            [
                'listen = "127.0.0.1:0"',
                'delivery = "127.0.0.1:0"',
                f'state_dir = "{made.state_dir}"',
                f'keys_dir = "{made.keys_dir}"',
                f'admin_token_file = "{made.admin_token_file}"',
                "[identity]",
                'id = "origin-1"',
                f'credential = "{made.identity.credential}"',
            ]
        )
    )
    return file


@pytest.mark.processes
async def test_it_starts_serves_and_drains(tmp_path: Path) -> None:
    ports = tmp_path / "ports.json"
    command = [sys.executable, "-m", "origin.app.main", "--config", str(config(tmp_path)), "--port-file", str(ports)]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + START_S
        while not ports.exists() and process.returncode is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        urls = json.loads(ports.read_text())
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{urls['api']}/ready") as answer:
                assert (answer.status, (await answer.json())["ready"]) == (200, True)
            async with session.get(f"{urls['delivery']}/metrics") as answer:
                assert answer.status == 403
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    lines = [json.loads(line) for line in errors.splitlines()]
    assert process.returncode == 0
    assert {line["process"] for line in lines} == {"origin"}
    assert [line["event"] for line in lines] == ["listening", "request", "request", "draining"]


@pytest.mark.processes
async def test_ingest_without_a_worker_says_so_and_ends(tmp_path: Path) -> None:
    """The job stays queued; whoever waits for it learns that nobody works on it."""
    ports, film = tmp_path / "ports.json", clip(tmp_path / "film.mp4")
    command = [sys.executable, "-m", "origin.app.main", "--config", str(config(tmp_path)), "--port-file", str(ports)]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_S
        while not ports.exists() and process.returncode is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        run_file = tmp_path / "run.json"
        run_file.write_text(json.dumps({"origin": json.loads(ports.read_text())["api"], "contentId": "x"}))
        (tmp_path / "operator.token").write_text(installation.OPERATOR)
        ingest = [sys.executable, "-m", "headrace.main", "ingest", str(film), "--at", str(run_file), "--json"]
        asked = await asyncio.create_subprocess_exec(*ingest, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said, errors = await asyncio.wait_for(asked.communicate(), 60)
    finally:
        process.kill()
        await process.communicate()
    assert (asked.returncode, said) == (1, b"")
    assert b"no ingest worker" in errors


def test_a_wrong_setting_is_one_line_and_code_2(tmp_path: Path) -> None:
    file = config(tmp_path)
    file.write_text(file.read_text().replace("listen =", "lissten =", 1))
    done = subprocess.run(
        [sys.executable, "-m", "origin.app.main", "--config", str(file)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 2
    assert done.stderr == f"{file}:1: unknown setting `lissten`; did you mean `listen`?\n"


def test_the_import_is_lean() -> None:
    """Durable workflows, migrations and the packager cost a second to import; serving needs none of them."""
    code = (
        "import sys, origin.app.main;"
        "print([m for m in ('dbos', 'alembic', 'origin.ingest', 'lxml', 'redis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"


def test_a_catalog_that_is_away_is_one_line_and_code_1(tmp_path: Path) -> None:
    file = config(tmp_path)
    file.write_text('database_url = "postgresql+asyncpg://nobody@127.0.0.1:1/none"\n' + file.read_text())
    done = subprocess.run(
        [sys.executable, "-m", "origin.app.main", "--config", str(file)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert json.loads(done.stderr)["kind"] == "catalog_away"
