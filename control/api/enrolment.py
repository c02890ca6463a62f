"""A node enrols: the one request of the node API without a signature; its token is worth one."""

from aiohttp import web

from control.api.bodies import parsed, read, reply
from control.api.service import Service
from control.contract.enrolment import ENROL_PATH, EnrolAnswer, EnrolRequest


def routes(service: Service) -> list[web.RouteDef]:
    """The node API's part for enrolment."""

    async def enrol(request: web.Request) -> web.Response:
        asked = parsed(EnrolRequest, await read(request))
        made = await service.enrolment.enrol(asked.token, asked.id, asked.role)
        return reply(
            EnrolAnswer(id=made.id, role=asked.role, serial=made.serial, secrets=made.secrets, accepts=made.accepts)
        )

    return [web.post(ENROL_PATH, enrol)]
