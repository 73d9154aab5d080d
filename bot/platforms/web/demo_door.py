"""The door of the demo: everybody is its owner, or whom they choose to be."""

from collections.abc import Sequence

from aiohttp import web

from bot.core.people import Rank, User
from bot.platforms.web import asks
from bot.platforms.web.door import NO_STORE, give_cookie, person, the_owner
from bot.platforms.web.guard import Guard

COOKIE = "easel-demo"  # cookies know no port: the demo must not change who somebody is on a real page beside it


class DemoDoor:
    """Implements `Door`, for a page that only this machine can reach and where nothing is worth keeping."""

    def __init__(self) -> None:
        self.people: Sequence[User] = (the_owner(), person("mia", "Mia", Rank.USER))

    async def who(self, request: web.Request) -> User | None:
        chosen = request.cookies.get(COOKIE, "")
        return next((user for user in self.people if user.id == chosen), self.people[0])

    async def knock(self, request: web.Request) -> web.StreamResponse | None:
        return None

    def routes(self, guard: Guard) -> list[web.RouteDef]:
        return [web.post("/api/switch", guard.writing(self._switch))]

    async def check(self) -> None:
        """The demo listens on this machine only."""

    async def open(self, address: str) -> None:
        """Nobody has to be told."""

    async def close(self) -> None:
        """Nothing to take back."""

    async def _switch(self, request: web.Request) -> web.StreamResponse:
        to = asks.text_of(await asks.read_json(request), "to")
        if to not in {user.id for user in self.people}:
            raise web.HTTPBadRequest(text="There is nobody of that name in the demo.")
        response = web.json_response({"error": ""}, headers=NO_STORE)
        give_cookie(response, COOKIE, to, is_https=False)
        return response
