"""The steps of a delivery: recognise, check the credential, find the asset, decide the head, send the body."""

import os
import re
from collections.abc import Callable

from aiohttp import web

from configs.delivery import Classes
from control.contract.credential import Credential, CredentialRefused
from kit.clock import Clock
from kit.errors import HeadraceError, NotFound
from origin.assets import ObjectStore
from origin.catalog.models import Asset, Published
from origin.contract import headers, urls
from origin.delivery.body import Bodies
from origin.delivery.head import Head, decide
from origin.delivery.versions import Versions
from proxy.http import target

_PATH = re.compile(rf"{urls.CONTENT}([^/]+)/([^/]+)/(.+)")


class MethodNotAllowed(HeadraceError):
    """Delivery only reads."""

    kind = "method_not_allowed"
    status = 405


class Delivery:
    """Answers shields. Who holds no credential learns nothing: the same refusal whether the object exists or not."""

    def __init__(
        self,
        versions: Versions,
        store: ObjectStore,
        bodies: Bodies,
        classes: Classes,
        credential: Credential,
        clock: Clock,
        revoked: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`revoked`: whether the shield that signs with a name was revoked; asked for each request."""
        self._versions, self._store, self._bodies = versions, store, bodies
        self._classes, self._credential, self._clock = classes, credential, clock
        self._revoked = revoked

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request of any method and path. Errors are kit.errors, rendered by the application."""
        path = _recognise(request)
        self._admit(request)
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("delivery answers GET and HEAD")
        version, asset = await self._find(path)
        head = decide(tuple(request.headers.items()), version, asset, self._classes.cache_control(asset.kind))
        return await self._answer(request, asset, head)

    def _admit(self, request: web.Request) -> None:
        signed = request.headers.getall(headers.NODE, [])
        value = signed[0] if len(signed) == 1 else None
        now = self._clock.wall()
        name = self._credential.check(value, method=request.method, target=request.raw_path, now=now)
        if self._revoked(name):
            raise CredentialRefused(f"{name!r} was revoked")

    async def _find(self, path: str) -> tuple[Published, Asset]:
        match = _PATH.fullmatch(path)
        if match and urls.is_id(match[1]) and urls.is_id(match[2]):
            version = await self._versions.get(match[1], match[2])
            asset = version.assets.get(match[3]) if version else None
            if version and asset:
                return version, asset
        raise NotFound("no such object")

    async def _answer(self, request: web.Request, asset: Asset, head: Head) -> web.StreamResponse:
        if head.start == head.end or request.method == "HEAD":
            return await self._bodiless(request, head)
        fd = await self._bodies.open(self._store.path_of(asset.digest), asset.size)
        try:
            response = web.StreamResponse(status=head.status, headers=head.fields)
            response.content_length = head.end - head.start
            await response.prepare(request)
            await self._bodies.send(request, response, fd, head.start, head.end)
            await response.write_eof()
            return response
        finally:
            os.close(fd)

    async def _bodiless(self, request: web.Request, head: Head) -> web.StreamResponse:
        response = web.StreamResponse(status=head.status, headers=head.fields)
        if head.status != 304:
            response.content_length = head.end - head.start
        await response.prepare(request)
        await response.write_eof()
        return response


def _recognise(request: web.Request) -> str:
    path, _ = target.check(request.raw_path)
    target.check_plain(path)
    return path
