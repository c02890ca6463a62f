"""Who may do what (RBAC): three roles, each with all that the one before it has (T-069), and areas within them."""

from dataclasses import dataclass
from enum import StrEnum

from control.admin.errors import Forbidden


class Role(StrEnum):
    """viewer looks; operator also acts on nodes, content and steering; admin also on tokens and policy."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Area(StrEnum):
    """A part of the API that a token may be held to."""

    NODES = "nodes"
    ORDERS = "orders"
    STEERING = "steering"
    ROLLOUT = "rollout"
    QOE = "qoe"
    AUDIT = "audit"
    TOKENS = "tokens"
    API = "api"


_RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever calls. `areas` empty: all of them."""

    id: str
    name: str
    role: Role
    areas: frozenset[Area] = frozenset()

    def may(self, least: Role, area: Area) -> bool:
        """Whether an endpoint of `area` that wants at least `least` is open to this principal."""
        return _RANK[self.role] >= _RANK[least] and (not self.areas or area in self.areas or area is Area.API)

    def demand(self, least: Role, area: Area) -> None:
        """Forbidden unless `may`."""
        if not self.may(least, area):
            where = f", for {', '.join(sorted(self.areas))} only" if self.areas else ""
            raise Forbidden(f"{self.name!r} is {self.role}{where}; this wants {least} of {area}")
