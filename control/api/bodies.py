"""Who signed a request, and what it says: nothing is read before the credential fits."""

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

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Signed:
    """A request whose credential was checked, body and all."""

    node_id: str
    role: str
    body: bytes


class RoleRefused(CredentialRefused):
    """A good credential, of a role or node that may not do this."""

    kind = "role_refused"


async def signed(request: web.Request, service: Service) -> Signed:
    """Read the body and check the signature over it. CredentialRefused; 413 above the listener's limit."""
    value = request.headers.get(NODE)
    body = await request.read()
    node_id = service.credential.check(
        value, method=request.method, target=request.path_qs, now=service.clock.wall(), body=body
    )
    if not re.match(ID_PATTERN, node_id):
        raise RoleRefused(f"{node_id[:64]!r} cannot be a node's id")
    return Signed(node_id, (value or "").partition(" ")[0], body)


def parsed(model: type[M], body: bytes) -> M:
    """The message in `body`. BadRequest names the first field that is wrong."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadRequest(f"{place}: {first['msg']}") from None
