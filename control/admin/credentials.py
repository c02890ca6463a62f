"""Endpoints on API tokens."""

from pydantic import Field

from configs.schema.administration import AdministrationSettings
from control.admin.access import Access
from control.admin.endpoint import Ask, Done, Endpoint, Names, Whole
from control.admin.roles import Area, Role
from control.admin.store import Store
from control.admin.tokens import Token, mint
from control.admin.trail import when
from control.contract.messages import Message
from kit.clock import Clock
from kit.errors import NotFound, Unprocessable

DEFAULT_S = 30 * 86_400


class TokenRequest(Message):
    """A token to be made."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    """Whose it is or what it is for."""
    role: Role
    areas: tuple[Area, ...] = Field(default=(), max_length=len(Area))
    """Parts of the API that it is held to; empty: all that its role reaches."""
    lifetime_s: Whole = Field(default=DEFAULT_S, ge=1, le=31_536_000)
    """Seconds until its end."""


class TokenRow(Message):
    """One token, without its secret."""

    id: str
    name: str
    role: Role
    areas: tuple[Area, ...]
    created: str
    expires: str
    expired: bool
    created_by: str


class TokenMade(TokenRow):
    """A new token. Its text is shown this once; null where the answer is repeated for an idempotency key."""

    token: str | None


class TokenList(Message):
    """All tokens, those past their end too."""

    tokens: tuple[TokenRow, ...]


class TokenName(Names):
    """Which token."""

    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    """The token's id: the part between its two underscores."""


class Whoami(Message):
    """What the caller's credential is good for."""

    id: str
    name: str
    role: Role
    areas: tuple[Area, ...]


def endpoints(store: Store, access: Access, settings: AdministrationSettings, clock: Clock) -> list[Endpoint]:
    """The rows."""

    async def listed(_: Ask) -> TokenList:
        return TokenList(tokens=tuple(_row(token, clock.wall()) for token in await store.tokens()))

    async def make(ask: Ask) -> TokenMade:
        wanted: TokenRequest = ask.body
        if wanted.lifetime_s > settings.longest_token_s:
            raise Unprocessable(f"lifetimeS: a token lives {settings.longest_token_s:.0f} s at most")
        token, text = mint(
            wanted.name,
            wanted.role,
            wanted.areas,
            now=clock.wall(),
            lifetime_s=wanted.lifetime_s,
            by=ask.principal.name,
        )
        await store.put_token(token)
        access.learn(token.id, token)
        return TokenMade(**dict(_row(token, clock.wall())), token=text)

    async def remove(ask: Ask) -> Done:
        if not await store.drop_token(ask.path.id):
            raise NotFound(f"no token {ask.path.id}")
        access.learn(ask.path.id, None)
        return Done()

    async def whoami(ask: Ask) -> Whoami:
        who = ask.principal
        return Whoami(id=who.id, name=who.name, role=who.role, areas=tuple(sorted(who.areas)))

    return [
        Endpoint("api.whoami", "GET", "/whoami", Role.VIEWER, "What the credential is good for", Whoami, whoami),
        Endpoint("tokens.list", "GET", "/tokens", Role.ADMIN, "All API tokens", TokenList, listed),
        Endpoint(
            "tokens.make",
            "POST",
            "/tokens",
            Role.ADMIN,
            "Make an API token; its text is shown once",
            TokenMade,
            make,
            in_body=TokenRequest,
            status=201,
            kept=lambda made: made.model_copy(update={"token": None}),
        ),
        Endpoint(
            "tokens.remove", "DELETE", "/tokens/{id}", Role.ADMIN, "Remove a token", Done, remove, in_path=TokenName
        ),
    ]


def _row(token: Token, now: float) -> TokenRow:
    return TokenRow(
        id=token.id,
        name=token.name,
        role=token.role,
        areas=token.areas,
        created=when(token.created),
        expires=when(token.expires),
        expired=now >= token.expires,
        created_by=token.created_by,
    )
