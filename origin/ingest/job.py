"""What is to be made of which bytes. A version's name says both, so that equal jobs are one job (ING-21). Pure."""

import hashlib
import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from configs.schema.origin import Profile
from kit.errors import BadRequest
from origin.contract.urls import is_id

PIPELINE = "1"
"""Raised whenever the same master would be encoded or packaged into other bytes than before."""
MAX_SUBTITLES = 32
MAX_TITLE = 200


@dataclass(frozen=True, slots=True)
class Side:
    """A subtitle file that came beside the master: RFC 5646 tag, hex SHA-256."""

    language: str
    digest: str


@dataclass(frozen=True, slots=True)
class Job:
    """One ingest. `digest` and `size` are the master's; `profile` is the whole definition, not only its name."""

    content_id: str
    version: str
    title: str
    digest: str
    size: int
    profile: Profile
    subtitles: tuple[Side, ...] = ()

    @property
    def key(self) -> str:
        """The name of this job's workflow and folders."""
        return f"{self.content_id}.{self.version}"

    def dump(self) -> dict[str, Any]:
        """Plain values, as the workflow's argument."""
        sides = [asdict(each) for each in self.subtitles]
        return {
            "content_id": self.content_id, "version": self.version, "title": self.title, "digest": self.digest,
            "size": self.size, "profile": self.profile.model_dump(mode="json"), "subtitles": sides,
        }  # fmt: skip

    @classmethod
    def load(cls, values: dict[str, Any]) -> "Job":
        """The job that was dumped."""
        sides = tuple(Side(**each) for each in values["subtitles"])
        return cls(**{**values, "profile": Profile.model_validate(values["profile"]), "subtitles": sides})


def version_id(digest: str, subtitles: tuple[Side, ...], profile: Profile, encoder: str) -> str:
    """16 hex digits of everything that a version's bytes depend on."""
    parts = {
        "master": digest,
        "subtitles": sorted((each.language, each.digest) for each in subtitles),
        "profile": profile.model_dump(mode="json"),
        "encoder": encoder,
        "pipeline": PIPELINE,
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def shown(title: str) -> str:
    """The title as it is kept: no control characters (they act on terminals and are no XML), 200 characters at most."""
    kept = (char for char in title if char.isspace() or unicodedata.category(char) != "Cc")
    return " ".join("".join(kept).split())[:MAX_TITLE]


def content_id(given: str | None, title: str) -> str:
    """`given`, else one made of the title: `Big Buck Bunny` -> `big-buck-bunny`. BadRequest where that is no id."""
    if given is not None:
        if not is_id(given):
            raise BadRequest(f"not a content id: {given[:80]!r}; 1 to 64 of a-z, 0-9 and -, not beginning with -")
        return given
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_title).strip("-")[:64].strip("-")
    if not is_id(slug):
        raise BadRequest("no id can be made of this title; give one")
    return slug
