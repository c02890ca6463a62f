"""Who signed a request, and what it says: nothing is read before the credential fits."""

import asyncio
import re
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError

from control.api.service import Service
from control.contract.credential import CredentialRefused
from control.contract.messages import ID_PATTERN, Message
from kit.errors import BadRequest
from origin.contract.headers import NODE

BODY_S = 5.0
"""A body gets so long to arrive."""
M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Signed:
    """A request whose credential was checked, body and all."""

    node_id: str
    role: str
    body: bytes
    name: str
    """What signed: the id, with the serial of an enrolled credential."""


class RoleRefused(CredentialRefused):
    """A good credential, of a role or node that may not do this."""

    kind = "role_refused"


async def read(request: web.Request) -> bytes:
    """The whole body. BadRequest when it does not arrive in time or is not what its fields say; 413 above the limit."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise BadRequest("the body did not arrive in time") from None
    except web.RequestPayloadError:
        raise BadRequest("the body is not what its header fields say") from None


async def signed(request: web.Request, service: Service) -> Signed:
    """Read the body and check the signature over it. CredentialRefused; 413 above the listener's limit."""
    value = request.headers.get(NODE)
    body = await read(request)
    name = service.credential.check(
        value, method=request.method, target=request.path_qs, now=service.clock.wall(), body=body
    )
    service.enrolment.check(name)
    node_id = name.partition(":")[0]
    if not re.match(ID_PATTERN, node_id):
        raise RoleRefused(f"{node_id[:64]!r} cannot be a node's id")
    return Signed(node_id, (value or "").partition(" ")[0], body, name)


async def sender(request: web.Request, service: Service) -> Signed:
    """`signed`, where the path names a node: a node speaks for itself only."""
    node = await signed(request, service)
    if node.node_id != request.match_info["id"]:
        raise RoleRefused(f"{node.node_id!r} speaks for {request.match_info['id'][:64]!r}")
    return node


def reply(message: Message) -> web.Response:
    """The answer to one signer. No cache may keep it: what it says is for that node, and for now."""
    return web.Response(body=message.encode(), content_type="application/json", headers={"Cache-Control": "no-store"})


def parsed(model: type[M], body: bytes) -> M:
    """The message in `body`. BadRequest names the first field that is wrong."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadRequest(f"{place}: {first['msg']}") from None
