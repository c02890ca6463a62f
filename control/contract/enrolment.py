"""How a node gets its credential: a one-time token for the credential, once, over HTTPS (or loopback).

A leaf: pydantic and nothing of ours.
"""

from typing import Annotated

from pydantic import Field

from control.contract.messages import Id, Message, Role

ENROL_PATH = "/api/v1/nodes/enrol"

Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""256 bits, base64url."""


class EnrolRequest(Message):
    """A node asks for its credential. The token was made for this id and role."""

    token: Secret = Field(repr=False)
    id: Id
    role: Role


class EnrolAnswer(Message):
    """The credential (control.contract.credential.Credential). The token is used up."""

    id: Id
    role: Role
    serial: str = Field(pattern=r"^[0-9a-f]{16}$")
    secrets: dict[str, Secret] = Field(repr=False)
    accepts: dict[str, Secret] = Field(repr=False)
