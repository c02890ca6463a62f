"""A small body that a viewer sends for this node itself, within bounds of size and time."""

import asyncio

from aiohttp.web import BaseRequest

from kit.errors import BadRequest


class TooLarge(BadRequest):
    """The body is larger than this node takes (RFC 9110 15.5.14)."""

    kind = "too_large"
    status = 413


async def taken_in(request: BaseRequest, limit: int, patience_s: float) -> bytes:
    """The body. TooLarge beyond `limit` bytes, BadRequest when it does not come within `patience_s`."""
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(patience_s):
            while piece := await request.content.read(limit + 1 - len(body)):
                body += piece
                if len(body) > limit:
                    raise TooLarge(f"the body is larger than {limit} bytes")
    except TimeoutError:
        raise BadRequest("the body did not come in time") from None
    return bytes(body)
