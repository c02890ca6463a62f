"""The public application: a table of routes under one middleware."""

from aiohttp import web

from control.api import enrolment, errors, health, nodes, observations, orders, polls, redirect, snapshots, steering
from control.api.service import Service
from control.contract.messages import MAX_BODY_BYTES


def public_app(service: Service) -> web.Application:
    """What listens on `settings.listen`."""
    app = web.Application(middlewares=[errors.middleware(service.metrics)], client_max_size=MAX_BODY_BYTES)
    parts = (nodes, orders, enrolment, observations, steering, polls, redirect, snapshots, health)
    app.add_routes([route for part in parts for route in part.routes(service)])

    async def release(_: web.Application) -> None:
        service.orders.release()  # nodes that wait for orders would hold the drain up

    app.on_shutdown.append(release)
    return app
