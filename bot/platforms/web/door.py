"""Who is asking: what the page needs to know of whoever decides that."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from bot.core.people import Rank, User

if TYPE_CHECKING:
    from bot.platforms.web.guard import RequestGuard

NAME = "web"
WORKSPACE = "page"

_COOKIE_SECONDS = 365 * 24 * 3600
OWNER_ID = "owner"


class Authenticator(Protocol):
    """Tells people apart. One door asks for invitations, another lets everybody choose."""

    @property
    def switchable_users(self) -> Sequence[User]:
        """Whom the person may turn into; empty except where everything is for trying out."""
        ...

    async def authenticate(self, request: web.Request) -> User | None:
        """The person behind a request; None for a stranger."""
        ...

    async def login(self, request: web.Request) -> web.StreamResponse | None:
        """What a stranger gets instead of the page, if they brought something that opens it."""
        ...

    def routes(self, guard: "RequestGuard") -> list[web.RouteDef]:
        """The door's own routes."""
        ...

    async def check(self) -> None:
        """Raises `UserError` when the page must not be served like this."""
        ...

    async def open(self, address: str) -> None:
        """The page is served at this address."""
        ...

    async def close(self) -> None:
        """The page is not served any more."""
        ...


def build_user(id_: str, name: str, rank: Rank) -> User:
    """Somebody on the page. What they may do is known here, and not by the settings."""
    return User(NAME, WORKSPACE, id_, name, is_administrator=rank >= Rank.MODERATOR, is_owner=rank is Rank.OWNER)


def build_owner() -> User:
    """Whoever holds the page's key, or sits at this machine while nobody is invited."""
    return build_user(OWNER_ID, "You", Rank.OWNER)


def set_cookie(response: web.StreamResponse, name: str, value: str, *, is_https: bool) -> None:
    """No script can read it, and no other site's page can have it sent."""
    response.set_cookie(name, value, max_age=_COOKIE_SECONDS, httponly=True, samesite="Strict", secure=is_https)


NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}
