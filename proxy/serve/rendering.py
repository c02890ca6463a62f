"""Answers made for one viewer from what is stored for all: small ones, with an identity of their own."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from kit.errors import UpstreamFailed
from proxy.http.fields import Fields, without
from proxy.rules.meta import Meta
from proxy.store.bodies import Body, MemoryBody

Rendering = Callable[[bytes], bytes]
"""From the stored bytes to those that one request gets. Pure, quick; ValueError when it cannot be done."""
MOST_BYTES = 4 * 2**20
"""Larger ones are not rendered; playlists are a hundredth of it."""
_OF_THE_STORED = (
    *("ETag", "Last-Modified", "Repr-Digest", "Content-Digest", "Content-MD5", "Digest"),
    *("Cache-Control", "CDN-Cache-Control", "Expires", "Vary"),
)
_PRIVATE: Fields = (("Cache-Control", "private, no-cache"),)


async def rendered(render: Rendering, meta: Meta, body: Body) -> tuple[Meta, MemoryBody]:
    """The answer to a request with a rendering: `meta` with the validators and the policy of the new bytes (no shared
    cache may keep them, RFC 9111 5.2.2.7). UpstreamFailed when the stored bytes cannot be rendered."""
    data = b""
    async for piece in body.pieces(0, None):
        data += piece
        if len(data) > MOST_BYTES:
            raise UpstreamFailed("an answer too large to be rendered")
    try:
        made = render(data)
    except ValueError as error:
        raise UpstreamFailed(f"an answer that cannot be rendered: {error}") from None
    tag = f'"{hashlib.blake2b(made, digest_size=16).hexdigest()}"'
    fields = (*without(meta.fields, _OF_THE_STORED), ("ETag", tag), *_PRIVATE)
    return replace(meta, fields=fields), MemoryBody(made)
