"""The public application: a table of routes under one middleware."""

from aiohttp import web

from control.api import errors, health, nodes, polls, redirect, steering
from control.api.service import Service
from control.contract.messages import MAX_BODY_BYTES


def public_app(service: Service) -> web.Application:
    """What listens on `settings.listen`."""
    app = web.Application(middlewares=[errors.middleware(service.metrics)], client_max_size=MAX_BODY_BYTES)
    app.add_routes([*nodes.routes(service), *steering.routes(service), *health.routes(service)])
    app.add_routes([*polls.routes(service), *redirect.routes(service)])
    return app
