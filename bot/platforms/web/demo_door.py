"""The door of the demo: everybody is its owner, or whom they choose to be."""

from collections.abc import Sequence

from aiohttp import web

from bot.core.people import Rank, User
from bot.platforms.web import asks
from bot.platforms.web.door import NO_STORE, build_owner, build_user, set_cookie
from bot.platforms.web.guard import RequestGuard

DEMO_COOKIE = "easel-demo"  # cookies know no port: the demo must not change who somebody is on a real page beside it


class DemoAuthenticator:
    """Implements `Door`, for a page that only this machine can reach and where nothing is worth keeping."""

    def __init__(self) -> None:
        self.switchable_users: Sequence[User] = (build_owner(), build_user("mia", "Mia", Rank.USER))

    async def authenticate(self, request: web.Request) -> User | None:
        chosen = request.cookies.get(DEMO_COOKIE, "")
        return next((user for user in self.switchable_users if user.id == chosen), self.switchable_users[0])

    async def login(self, request: web.Request) -> web.StreamResponse | None:
        return None

    def routes(self, guard: RequestGuard) -> list[web.RouteDef]:
        return [web.post("/api/switch", guard.guard_write(self._switch))]

    async def check(self) -> None:
        """The demo listens on this machine only."""

    async def open(self, address: str) -> None:
        """Nobody has to be told."""

    async def close(self) -> None:
        """Nothing to take back."""

    async def _switch(self, request: web.Request) -> web.StreamResponse:
        to = asks.parse_text(await asks.read_json(request), "to")
        if to not in {user.id for user in self.switchable_users}:
            raise web.HTTPBadRequest(text="There is nobody of that name in the demo.")
        response = web.json_response({"error": ""}, headers=NO_STORE)
        set_cookie(response, DEMO_COOKIE, to, is_https=False)
        return response
