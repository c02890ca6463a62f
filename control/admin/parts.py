"""The admin side of one control process, put together: the table of endpoints is here."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from control.admin import credentials, enrolment, nodes, openapi, orders, qoe, records, rollout, steering
from control.admin.access import Access
from control.admin.audit import Audit
from control.admin.endpoint import Ask, Endpoint
from control.admin.gate import Gate
from control.admin.journal import Journal
from control.admin.memory_form import MemoryStore
from control.admin.redis_form import RedisStore
from control.admin.roles import Role
from control.admin.store import Store
from control.api.service import Service


@dataclass(frozen=True)
class Admin:
    """What the admin listener serves."""

    service: Service
    store: Store
    access: Access
    audit: Audit
    gate: Gate
    endpoints: tuple[Endpoint, ...]


@contextlib.asynccontextmanager
async def administering(service: Service, token: str | None) -> AsyncIterator[Admin]:
    """The admin side of `service`; `token` is the operators' one. SettingsError. On leaving, what waits for the audit
    log is handed over if it can be."""
    settings = service.settings.administration
    store = _store(service)
    audit = Audit(store, service.clock, settings.failures_per_min)
    access = Access(token, store, service.clock)
    try:
        yield Admin(
            service=service,
            store=store,
            access=access,
            audit=audit,
            gate=Gate(settings, store, audit, service.clock, service.metrics),
            endpoints=_table(service, store, access, audit),
        )
        await audit.flush()
    finally:
        await store.close()


def _store(service: Service) -> Store:
    settings, redis_url = service.settings.administration, service.settings.redis_url
    if redis_url is not None:
        return RedisStore.connect(redis_url, settings)
    journal = Journal(settings.state_dir, settings.audit_entries) if settings.state_dir else None
    return MemoryStore(settings, service.clock, journal)


def _table(service: Service, store: Store, access: Access, audit: Audit) -> tuple[Endpoint, ...]:
    """Every endpoint there is. Whoever adds one adds its row: routes, document, roles, limits, audit and the tests of
    refusals follow from it."""
    settings = service.settings.administration
    rows = [
        *nodes.endpoints(service),
        *orders.endpoints(service),
        *steering.endpoints(service),
        *rollout.endpoints(service),
        *enrolment.endpoints(service),
        *qoe.endpoints(service),
        *credentials.endpoints(store, access, settings, service.clock),
        *records.endpoints(store, audit),
    ]
    document: dict[str, Any] = {}

    async def show(_: Ask) -> openapi.OpenApi:
        return openapi.OpenApi(document)

    rows.append(Endpoint("api.document", "GET", "/openapi.json", Role.VIEWER, "This document", openapi.OpenApi, show))
    document |= openapi.document(rows, openapi.version())
    return tuple(rows)
