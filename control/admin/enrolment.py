"""Endpoints on who may be a node: one-time tokens, and credentials refused."""

from pydantic import Field

from control.admin.endpoint import Ask, Endpoint, Whole
from control.admin.roles import Role
from control.admin.roster import NodeName
from control.api.service import Service
from control.contract.messages import Id, Message
from control.contract.messages import Role as NodeRole
from control.enrolment.model import Invitation


class InviteRequest(Message):
    """A node that is to be let in."""

    id: Id
    role: NodeRole
    lifetime_s: Whole = Field(default=3600, ge=1, le=7 * 86_400)
    """Seconds until the token is good no more."""


class Invited(Message):
    """A one-time token. It is shown this once; null where the answer is repeated for an idempotency key."""

    id: str
    role: NodeRole
    token: str | None


class InvitedList(Message):
    """Nodes whose tokens were not used yet."""

    invited: tuple[Invitation, ...]


class Revoked(Message):
    """The names whose signatures are refused from now on."""

    names: tuple[str, ...]


def endpoints(service: Service) -> list[Endpoint]:
    """The rows."""
    enrolment = service.enrolment

    async def listed(_: Ask) -> InvitedList:
        return InvitedList(invited=await enrolment.invited())

    async def invite(ask: Ask) -> Invited:
        wanted: InviteRequest = ask.body
        token = await enrolment.invite(wanted.id, wanted.role, seconds=wanted.lifetime_s, by=ask.principal.name)
        return Invited(id=wanted.id, role=wanted.role, token=token)

    async def revoke(ask: Ask) -> Revoked:
        return Revoked(names=await enrolment.revoke(ask.path.id, by=ask.principal.name))

    admin = Role.ADMIN
    return [
        Endpoint("nodes.invited", "GET", "/enrolment", admin, "Nodes that are let in", InvitedList, listed),
        Endpoint(
            "nodes.invite",
            "POST",
            "/enrolment",
            admin,
            "Make a one-time token for a node; it is shown once",
            Invited,
            invite,
            in_body=InviteRequest,
            status=201,
            kept=lambda made: made.model_copy(update={"token": None}),
        ),
        Endpoint(
            "nodes.revoke",
            "POST",
            "/nodes/{id}/revoke",
            admin,
            "Refuse a node's credentials and take it out of the map",
            Revoked,
            revoke,
            in_path=NodeName,
        ),
    ]
