"""Cache policy per class of object, in classes.toml: how long what origin delivers may be kept."""

from pathlib import Path

from pydantic import Field

from configs.load import load
from configs.schema.base import Settings

_FILE = Path(__file__).parent / "classes.toml"


class ObjectClass(Settings):
    """Policy of one class of object."""

    cache_control: str = Field(min_length=1, pattern=r"^[\x20-\x7e]+$")
    """The Cache-Control field of its answers (RFC 9111 5.2.2, RFC 5861, RFC 8246)."""


class Classes(Settings):
    """One policy for each kind of asset that the catalog knows."""

    master: ObjectClass
    """Master playlists and MPDs: the only ones that may come to mean something else."""
    playlist: ObjectClass
    """Media playlists."""
    init: ObjectClass
    """Initialisation segments."""
    segment: ObjectClass
    """Media segments."""
    subtitle: ObjectClass
    """Subtitle files."""

    def cache_control(self, kind: str) -> str:
        """The field value for a kind; KeyError for a kind that is none."""
        if kind not in type(self).model_fields:
            raise KeyError(kind)
        policy: ObjectClass = getattr(self, kind)
        return policy.cache_control


def classes(file: Path = _FILE) -> Classes:
    """The policies that are shipped, or those of another file; SettingsError says what is wrong where."""
    return load(Classes, file=file, process="delivery", environment={})
