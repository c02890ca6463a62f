"""The admin listener: the API's routes, and beside them the console's pages, its stream of figures, its actions."""

from aiohttp import web

from control.admin.parts import Admin
from control.admin.routes import MAX_BODY_BYTES, routes
from control.api import errors, health
from control.console.actions import Actions
from control.console.events import Events
from control.console.figures import Figures
from control.console.login import Login
from control.console.page import Pages
from control.console.session import Sessions
from control.contract.credential import direction_key
from control.enrol import fleet_key


def admin_app(admin: Admin) -> web.Application:
    """What listens on `settings.admin`. Reads the fleet key and the page's files."""
    service = admin.service
    key = direction_key(fleet_key(service.settings.fleet_key_file), "console", "control")
    sessions, pages, figures = Sessions(key, admin.access, service.clock), Pages(), Figures(admin)
    login = Login(admin, sessions, pages)
    events = Events(login, figures)
    actions = Actions(admin, login, pages, figures)
    app = web.Application(middlewares=[errors.middleware(service.metrics)], client_max_size=MAX_BODY_BYTES)
    app.add_routes(routes(admin.endpoints, admin.gate, admin.access))
    app.add_routes([*login.routes(), *events.routes(), *actions.routes(), *pages.routes(), *health.routes(service)])
    app.on_shutdown.append(events.end)
    return app
