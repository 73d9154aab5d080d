"""Authentication of the page: the authenticators' protocol, the users they return, and routes with an access level."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from aiohttp import web

from bot.core.http_headers import is_forwarded
from bot.core.people import Rank, User

NAME = "web"
WORKSPACE = "page"
OWNER_ID = "owner"
NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_COOKIE_SECONDS = 365 * 24 * 3600


class Access(Enum):
    """The checks of a request before the route's handler. Every level checks the host name first."""

    PUBLIC = auto()
    """No further check, for files that say nothing about any person."""
    OWN_PAGE = auto()
    """Our own page sent the request, for a stranger with an invitation."""
    READ = auto()
    """The request is a user's."""
    WRITE = auto()
    """The request is a user's, and our own page sent it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A handler of GET or POST requests, and the access level that a request needs."""

    method: str
    path: str
    access: Access
    handler: Handler


class Authenticator(Protocol):
    """Identifies the user of a request: by invitation, or by the user's own choice in the demo."""

    @property
    def switchable_users(self) -> Sequence[User]:
        """The users that a person may switch to; empty outside the demo."""
        ...

    async def authenticate(self, request: web.Request) -> User | None:
        """Return the user of a request, None for a stranger."""
        ...

    async def login(self, request: web.Request) -> web.StreamResponse | None:
        """Return a response that signs a stranger in, None if the request holds no valid key."""
        ...

    def routes(self) -> Sequence[Route]:
        """Return the routes of the sign-in itself."""
        ...

    async def check(self) -> None:
        """Raise `UserError` if the page would stand open to other machines."""
        ...

    async def open(self, address: str) -> None:
        """Prepare for requests; the server listens at `address`."""
        ...

    async def close(self) -> None: ...


def is_request_forwarded(request: web.Request) -> bool:
    """Return whether a proxy passed the request on: such a request comes from anywhere, not from this machine."""
    return is_forwarded(request.headers, (request.version.major, request.version.minor))


def build_user(id_: str, name: str, rank: Rank) -> User:
    """Return a user of the page. The page decides ranks, not the settings' `ADMIN_USERS`."""
    return User(NAME, WORKSPACE, id_, name, is_administrator=rank >= Rank.MODERATOR, is_owner=rank is Rank.OWNER)


def build_owner() -> User:
    """Return the page's owner: the holder of the page's key, or the person at this machine before any invitation."""
    return build_user(OWNER_ID, "You", Rank.OWNER)


def set_cookie(response: web.StreamResponse, name: str, value: str, *, is_https: bool) -> None:
    """Set a cookie for a year, hidden from scripts and never sent with requests from other sites' pages."""
    response.set_cookie(name, value, max_age=_COOKIE_SECONDS, httponly=True, samesite="Strict", secure=is_https)
