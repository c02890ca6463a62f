"""Tokens and names in this process alone: where no Redis is configured. They end with the process."""

from control.enrolment.model import MAX_NAMES, MAX_TOKENS, EnrolmentState, Invitation, TooManyTokens, names_of


class MemoryRoll:
    """A Roll without Redis."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()
        self._tokens: dict[str, Invitation] = {}
        self._names: set[str] = set()

    async def invite(self, digest: str, invitation: Invitation, now: float) -> None:
        """See Roll."""
        self._tokens = {each: held for each, held in self._tokens.items() if held.expires > now}
        if len(self._tokens) >= MAX_TOKENS or len(self._names) >= MAX_NAMES:
            raise TooManyTokens(f"{len(self._tokens)} tokens wait, {len(self._names)} nodes are enrolled")
        self._tokens[digest] = invitation

    async def invited(self, now: float) -> tuple[Invitation, ...]:
        """See Roll."""
        return tuple(held for held in self._tokens.values() if held.expires > now)

    async def redeem(self, digest: str, node_id: str, role: str, serial: str, now: float) -> bool:
        """See Roll."""
        held = self._tokens.get(digest)
        if held is None or held.expires <= now or (held.id, held.role) != (node_id, role):
            return False
        del self._tokens[digest]
        self._names.add(f"{node_id}:{serial}")
        return True

    async def revoke(self, node_id: str) -> tuple[str, ...]:
        """See Roll."""
        names = names_of(node_id, self._names | self.revoked)
        self.revoked |= set(names)
        self._names -= set(names)
        return names

    def state(self) -> EnrolmentState:
        """See Roll."""
        return EnrolmentState("memory", None, len(self.revoked))

    async def close(self) -> None:
        """See Roll."""
