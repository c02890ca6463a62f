"""Whether a title may be played where the viewer is (CDN-04): by the request's address, not the account (T-022)."""

from collections.abc import Callable
from typing import ClassVar

from geo.database import Place
from kit.errors import HeadraceError, Side
from origin.catalog.service import Catalog


class NotAvailable(HeadraceError):
    """The title's territory leaves out the viewer's country. No secret: the viewer is told (RFC 7725)."""

    kind: ClassVar[str] = "not_available"
    side: ClassVar[Side] = Side.VIEWER
    status: ClassVar[int] = 451


class Fence:
    """`place` asks the geo database; `home` is the country of viewers that it does not know (None: nobody's)."""

    def __init__(self, catalog: Catalog, place: Callable[[str], Place | None], home: str | None) -> None:
        self._catalog, self._place, self._home = catalog, place, home

    async def check(self, content_id: str, client: str) -> None:
        """NotAvailable unless the title may be played by a viewer at address `client`."""
        territory = await self._catalog.territory(content_id)
        if territory.open:
            return
        country = self.country(client)
        if not territory.admits(country):
            raise NotAvailable(f"Content not available in {country or 'an unknown region'}")

    def country(self, client: str) -> str | None:
        """The viewer's country: the database's, else home."""
        try:
            place = self._place(client)
        except ValueError:  # a listener whose peers have no addresses
            place = None
        return place.country if place and place.country else self._home
