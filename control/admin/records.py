"""Endpoints on the audit log: it can be read, nothing else."""

from pydantic import Field

from control.admin.audit import Audit
from control.admin.endpoint import Ask, Endpoint, Page
from control.admin.roles import Role
from control.admin.store import Store
from control.admin.trail import Entry
from control.contract.messages import Message


class AuditPage(Page):
    """Which entries."""

    before: int | None = Field(default=None, ge=1)
    """Only those with a lower `seq`: the last one of the page before."""


class AuditLog(Message):
    """Entries, newest first."""

    entries: tuple[Entry, ...]
    next: int | None
    """`before` of the next page; null when this is the last one."""
    waiting: int
    """Entries that the store could not take yet."""
    lost: int
    """Refused calls that could not be put on record while it was away."""


def endpoints(store: Store, audit: Audit) -> list[Endpoint]:
    """The rows."""

    async def listed(ask: Ask) -> AuditLog:
        await audit.flush()
        page: AuditPage = ask.query
        found = await store.entries(page.before, page.count)
        more = found[-1].seq if len(found) == page.count and found[-1].seq > 1 else None
        return AuditLog(entries=tuple(found), next=more, waiting=audit.waiting, lost=audit.lost)

    return [
        Endpoint(
            "audit.list",
            "GET",
            "/audit",
            Role.OPERATOR,
            "The audit log; each entry carries the hash of the one before it",
            AuditLog,
            listed,
            in_query=AuditPage,
        )
    ]
