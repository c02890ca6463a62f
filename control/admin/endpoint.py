"""One row of the route table: what serves, who may call it, what it takes and gives. The application, the OpenAPI
document and the tests of refusals are all made from these rows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from control.admin.roles import Area, Principal, Role
from control.contract.messages import Message

PREFIX = "/api/v1/admin"


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""An integer as JSON Schema has it: 5.0 is one."""


class Names(Message):
    """Values from a path or a query: text that is read as the type that the field has."""

    model_config = ConfigDict(strict=False)


class Error(Message):
    """Why a call failed."""

    error: str
    """The kind, one word for programs."""
    message: str
    """One line for people."""
    retry_after: int | None = None
    """With 429: seconds until the next call fits."""


class Done(Message):
    """It was done; there is nothing to tell."""

    done: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """One call that was let through. `path`, `query` and `body` are what the endpoint declares, else None."""

    principal: Principal
    path: Any
    query: Any
    body: Any
    request_id: str
    key: str
    """Of the idempotency key and its owner; empty where none was given."""


@dataclass(frozen=True)
class Endpoint:
    """`path` is below PREFIX. `id` is area.verb: operationId, metric label and the audit log's action."""

    id: str
    method: str
    path: str
    role: Role
    summary: str
    answer: type[BaseModel]
    handle: Callable[[Ask], Awaitable[BaseModel]]
    in_path: type[Names] | None = None
    in_query: type[Names] | None = None
    in_body: type[Message] | None = None
    status: int = 200
    kept: Callable[[Any], BaseModel] | None = None
    """What of the answer is kept for its idempotency key, where that is not all of it: a secret is shown once."""
    failures: tuple[int, ...] = ()
    """Statuses of its own errors, beside those that any endpoint may answer."""

    @property
    def area(self) -> Area:
        """The first word of the id."""
        return Area(self.id.partition(".")[0])

    @property
    def acts(self) -> bool:
        """Whether it changes anything: then each call is in the audit log, and idempotency keys count."""
        return self.method != "GET"

    def errors(self) -> list[int]:
        """Every status that it may fail with."""
        found = {400, 401, 403, 429, 503, *self.failures}
        found |= {408, 409, 413, 422} if self.acts else set()
        return sorted(found | ({404} if self.in_path else set()))


class Page(Names):
    """Which part of a long list."""

    count: int = Field(default=100, ge=1, le=1000)
    """Rows at most."""
