"""Enrolment as the rest of control sees it: invite, enrol, revoke."""

import hashlib
import secrets

from control.contract.credential import Credential, CredentialRefused, issue
from control.contract.messages import Role
from control.contract.orders import Revoke
from control.enrolment.model import MAX_REVOKED, EnrolmentState, Invitation, Roll, TooManyRevoked
from control.orders.service import Orders
from control.registry.model import Registry
from kit import log
from kit.clock import Clock

TOKEN_S = 3600.0
"""A token waits for its node so long unless told otherwise."""
FOREVER = 4_102_444_800.0
"""The year 2100: a node's revocation does not end."""


class EnrolmentRefused(CredentialRefused):
    """No such token, or it was used, is over, or was made for another node. Which of them, the caller is not told."""

    kind = "enrolment_refused"


class NodeRevoked(CredentialRefused):
    """A genuine signature of a node that was revoked."""

    kind = "node_revoked"


class Enrolment:
    """Who may be a node. The fleet key stays here."""

    def __init__(
        self, fleet_key: bytes, roll: Roll, registry: Registry, clock: Clock, orders: Orders | None = None
    ) -> None:
        """Shields hear by `orders` of who was revoked."""
        self._fleet_key, self._roll, self._registry, self._clock = fleet_key, roll, registry, clock
        self._orders = orders

    async def invite(self, node_id: str, role: Role, *, seconds: float = TOKEN_S, by: str = "") -> str:
        """A one-time token for one node. It is told here and nowhere else: its hash is kept. TooManyTokens,
        EnrolmentAway."""
        token, now = secrets.token_urlsafe(32), self._clock.wall()
        invitation = Invitation(id=node_id, role=role, expires=now + seconds, by=by)
        await self._roll.invite(_digest(token), invitation, now)
        log.get("enrolment").info("invited", node=node_id, role=role, by=by)
        return token

    async def invited(self) -> tuple[Invitation, ...]:
        """Whom tokens wait for. EnrolmentAway."""
        return await self._roll.invited(self._clock.wall())

    async def enrol(self, token: str, node_id: str, role: Role) -> Credential:
        """The credential of a node, for its token, which is used up. EnrolmentRefused, EnrolmentAway."""
        serial = secrets.token_hex(8)
        if not await self._roll.redeem(_digest(token), node_id, role, serial, self._clock.wall()):
            raise EnrolmentRefused(f"no token for {role} {node_id!r}")
        log.get("enrolment").info("enrolled", node=node_id, role=role, serial=serial)
        return issue(self._fleet_key, node_id, role, serial)

    async def revoke(self, node_id: str, *, by: str = "") -> tuple[str, ...]:
        """Refuse all credentials that this node has, at once here and within a second at every other control process
        and every shield, and take it out of the map; the names refused. It may be enrolled anew. EnrolmentAway,
        TooManyRevoked, OrdersAway, TooManyOrders: again then, until shields were told too."""
        if len(self._roll.revoked) >= MAX_REVOKED:
            raise TooManyRevoked(f"{MAX_REVOKED} names were revoked: make a new fleet key")
        names = await self._roll.revoke(node_id)
        await self._registry.leave(node_id)
        for name in names:
            await self._tell_shields(name, by)
        log.get("enrolment").warning("revoked", node=node_id, names=names, by=by)
        return names

    async def _tell_shields(self, name: str, by: str) -> None:
        if self._orders is not None:
            command = Revoke(by="node", what=name, until=FOREVER)
            await self._orders.issue(command, by=by, key=f"revoke {name}")

    def check(self, name: str) -> None:
        """NodeRevoked when the signer's name was revoked."""
        if name in self._roll.revoked:
            raise NodeRevoked(f"{name!r} was revoked")

    def state(self) -> EnrolmentState:
        """Where it is kept and whether that works."""
        return self._roll.state()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
