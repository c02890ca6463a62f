"""The routes of a title's territory; for operators. The rule is asked when playback starts (origin.playback.fence)."""

from aiohttp import web

from geo.territory import Territory
from kit.errors import BadRequest, NotFound
from origin.app.api import read_body
from origin.app.parts import Parts
from origin.app.wire import answer_json
from origin.contract import urls
from origin.playback.request import TerritoryRules, parse

_ROUTE = "/api/v1/titles/{id}/territory"


class TerritoryApi:
    """Handlers; one method a route."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[web.RouteDef]:
        """The route table."""
        return [web.get(_ROUTE, self.show), web.put(_ROUTE, self.replace)]

    async def show(self, request: web.Request) -> web.Response:
        """The rules of a title: {contentId, allow, deny}."""
        self._parts.operators.check(request)
        content_id = _content_id(request)
        if await self._parts.catalog.title(content_id) is None:
            raise NotFound("no such title")
        return _described(content_id, await self._parts.catalog.territory(content_id))

    async def replace(self, request: web.Request) -> web.Response:
        """Give a title other rules; sessions that began before go on until their token ends."""
        self._parts.operators.check(request)
        content_id = _content_id(request)
        rules = parse(TerritoryRules, await read_body(request))
        try:
            territory = Territory.of(rules.allow, rules.deny)
        except ValueError as error:
            raise BadRequest(str(error)) from None
        await self._parts.catalog.set_territory(content_id, territory)
        return _described(content_id, territory)


def _content_id(request: web.Request) -> str:
    content_id = request.match_info["id"]
    if not urls.is_id(content_id):
        raise NotFound("no such title")
    return content_id


def _described(content_id: str, territory: Territory) -> web.Response:
    rules = {"allow": sorted(territory.allow), "deny": sorted(territory.deny)}
    return answer_json({"contentId": content_id, **rules})
