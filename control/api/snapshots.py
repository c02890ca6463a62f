"""Nodes fetch the settings that control lays over their own."""

import base64

from aiohttp import web

from control.api.bodies import reply, sender
from control.api.service import Service
from control.contract.credential import node_secret
from control.contract.snapshots import SNAPSHOT_PATH


def routes(service: Service) -> list[web.RouteDef]:
    """The node API's part for snapshots."""

    async def snapshot(request: web.Request) -> web.Response:
        node = await sender(request, service)
        key = service.credential.accepts[node.role]
        secret = node_secret(base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)), node.name)
        return reply(service.rollout.snapshot(node.node_id, node.role, secret))

    return [web.get(SNAPSHOT_PATH, snapshot, allow_head=False)]
