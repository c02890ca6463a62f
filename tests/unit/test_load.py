"""Settings: 'wrong ones fail at start with file, line and the right name' (DEP-08)."""

from pathlib import Path

import pytest

from configs import profiles
from configs.load import line_of, load
from configs.schema.node import EdgeSettings
from configs.schema.origin import Profile
from kit.errors import SettingsError

GOOD = """\
listen = "127.0.0.1:8080"
origin = "http://127.0.0.1:9000"

[store]
cache_dir = "/tmp/x"
disk = "10GiB"
"""


def _edge(tmp_path: Path, text: str, environment: dict[str, str] | None = None, **flags: object) -> EdgeSettings:
    file = tmp_path / "edge.toml"
    file.write_text(text)
    return load(EdgeSettings, file=file, process="edge", environment=environment or {}, flags=dict(flags))


def test_file_environment_and_flags_in_that_order(tmp_path: Path) -> None:
    environment = {"HEADRACE_EDGE_WORKERS": "2", "HEADRACE_EDGE_STORE__DISK": "1GiB", "OTHER": "x"}
    settings = _edge(tmp_path, GOOD, environment, workers=3, store={"memory": None})
    assert (settings.workers, settings.store.disk, settings.store.memory) == (3, 2**30, 256 * 2**20)


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        (GOOD.replace("disk =", "dsk ="), {}, r"edge.toml:6: unknown setting `store.dsk`; did you mean `disk`\?"),
        (GOOD.replace('"10GiB"', '"10 gigs"'), {}, r"edge.toml:6: `store.disk`: .*`10GiB`"),
        (GOOD.replace('cache_dir = "/tmp/x"\n', ""), {}, r"edge.toml:4: `store.cache_dir` is missing"),
        (GOOD + "[limits]\n\nheader_timeout_s = [\n -1\n]", {}, r"edge.toml:9: `limits.header_timeout_s`"),
        (GOOD + "x = = 1", {}, r"edge.toml: .*line 7"),
        (GOOD, {"HEADRACE_EDGE_WORKRES": "2"}, r"environment HEADRACE_EDGE_WORKRES: .*did you mean `workers`"),
        (GOOD, {"HEADRACE_EDGE_WORKERS": "no"}, r"environment HEADRACE_EDGE_WORKERS: `workers`"),
        (GOOD.replace("127.0.0.1:8080", "8080"), {}, r"edge.toml:1: `listen`: .*HOST:PORT"),
    ],
)
def test_a_wrong_setting_names_place_and_right_name(tmp_path: Path, text: str, environment: dict, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        _edge(tmp_path, text, environment)


def test_a_flag_that_was_not_given_is_not_blamed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"edge\.toml:1: `workers`: "):
        _edge(tmp_path, 'workers = "no"\n' + GOOD, workers=None)


def test_line_of_finds_tables_in_arrays() -> None:
    text = "[[ladder]]\nheight = 1\n\n[[ladder]]\n# here\nheight = 2\n"
    assert line_of(text, ("ladder", 1, "height")) == 6
    assert line_of(text, ("ladder", 1)) == 4
    assert line_of(text, ("ladder", 1, "kbps")) == 4


@pytest.mark.parametrize("name", profiles.names())
def test_every_shipped_profile_loads(name: str) -> None:
    assert isinstance(profiles.get(name), Profile)
    assert profiles.get(name).name == name


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="demo, ott, smoke"):
        profiles.get("nope")
