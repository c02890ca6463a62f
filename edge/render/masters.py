"""Masters rendered for sessions: what is alike for many is prepared once, the rest is filled in."""

import hashlib
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from cachetools import LRUCache

from edge.render import dash, hls
from edge.render.template import STEERING, Template, Wanted, place
from origin.contract import urls
from origin.contract.pathways import Pathways

MEMORY = 16 * 2**20
"""Characters of templates kept; a worker of an edge holds some thousand titles' masters."""
ENTRY = 512
"""What a template costs beside its text, in characters: one that says `untouched` has none."""
_NONE = Pathways((), None)


@dataclass(frozen=True, slots=True)
class Session:
    """What of a request decides its master. `path`: without token; `cap_kbps`: no rung above it, None for no cap."""

    token: str
    path: str
    cap_kbps: int | None
    pathways: Pathways | None

    def base(self, edge: str) -> str:
        """Where the files beside the master are at an edge."""
        return edge + urls.with_token(self.token, self.path[: self.path.rindex("/") + 1])


_ENDINGS = f"/{urls.MASTER_HLS}", f"/{urls.MASTER_DASH}"


def is_master(path: str) -> bool:
    """Whether a path (without token) names what is rendered."""
    return path.endswith(_ENDINGS)


def _distinct(bases: tuple[str, ...]) -> bool:
    """Whether every edge has a host name of its own. Shaka shuns a failed host whatever its port; where that leaves it
    no pathway it goes back to the one said to be the default, be it dead, and to all of them where none is said."""
    return len({urlsplit(each).hostname for each in bases}) == len(bases)


class Masters:
    """Renders; remembers templates, boundedly."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._templates: LRUCache[tuple[bytes, Wanted], Template] = LRUCache(memory, getsizeof=_size)

    def __len__(self) -> int:
        return len(self._templates)

    def render(self, stored: bytes, session: Session) -> bytes:
        """The master of one session; `stored` itself where nothing is to be changed. ValueError when `stored` is no
        master that we understand."""
        ways = session.pathways or _NONE
        template = self._template(stored, session, ways)
        if template.untouched:
            return stored
        fill = escape if session.path.endswith(urls.MASTER_DASH) else str
        text = template.text
        for at, edge in enumerate(ways.bases):
            text = text.replace(place(at), fill(session.base(edge)))
        return text.replace(STEERING, fill(ways.steering or "")).encode()

    def _template(self, stored: bytes, session: Session, ways: Pathways) -> Template:
        wanted = Wanted(session.cap_kbps, len(ways.bases), ways.steering is not None, _distinct(ways.bases))
        key = hashlib.blake2b(stored, digest_size=16).digest(), wanted
        template = self._templates.get(key)
        if template is None:
            kind = dash if session.path.endswith(urls.MASTER_DASH) else hls
            template = kind.prepare(stored, wanted)
            if _size(template) <= self._templates.maxsize:
                self._templates[key] = template
        return template


def _size(template: Template) -> int:
    return ENTRY + len(template.text)
