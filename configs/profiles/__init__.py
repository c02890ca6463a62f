"""The service profiles: a TOML file each, filled into configs.schema.origin.Profile."""

from pathlib import Path

from configs.load import load
from configs.schema.origin import Profile
from kit.errors import SettingsError

_HERE = Path(__file__).parent


def names() -> list[str]:
    """All profiles that are shipped."""
    return sorted(file.stem for file in _HERE.glob("*.toml"))


def get(name: str) -> Profile:
    """The profile of that name; SettingsError names the known ones otherwise."""
    if name not in names():
        raise SettingsError(f"unknown profile {name!r}; known: {', '.join(names())}")
    return load(Profile, file=_HERE / f"{name}.toml", process="profile", environment={})
