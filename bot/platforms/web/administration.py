"""The list of people, for the `web` verb: it asks the running bot, whose database no other process may open.

What opens it is a secret in a file of the data folder, made anew at each start and readable by its owner only: whoever
can read that file could read the database too.
"""

import contextlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.core.errors import UserError
from bot.core.json import JSON
from bot.core.people import Rank
from bot.platforms.web import asks
from bot.platforms.web.door import NO_STORE
from bot.platforms.web.guard import RequestGuard
from bot.platforms.web.visitors import WebUsers
from bot.storage.web_page import Visitor

KEY_FILE = "web.key"
ADMIN_PATH = "/admin/people"


class WebUserAdmin:
    """Does what `do` can, for whoever shows the secret."""

    def __init__(self, visitors: WebUsers, key_file: Path | None) -> None:
        self._visitors = visitors
        self._key_file = key_file
        self._secret = secrets.token_urlsafe(32)

    def routes(self, guard: RequestGuard) -> list[web.RouteDef]:
        return [web.post(ADMIN_PATH, guard.guard_public(self._serve))] if self._key_file else []

    def write_key(self, address: str) -> None:
        """Leave the secret and the address where the verb looks for them."""
        if self._key_file is None:
            return
        self._key_file.parent.mkdir(parents=True, exist_ok=True)
        self._key_file.unlink(missing_ok=True)  # an old one may be readable by others
        descriptor = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"address": address, "secret": self._secret}, file)

    def remove_key(self) -> None:
        """Nobody answers any more."""
        if self._key_file is not None:
            with contextlib.suppress(OSError):
                self._key_file.unlink()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._secret.encode()):
            raise web.HTTPUnauthorized(text="Only who runs the bot may do this.")
        try:
            answer = await run_admin_request(self._visitors, await asks.read_json(request))
        except UserError as error:
            return web.Response(status=400, text=str(error))
        return web.json_response(answer, headers=NO_STORE)


async def run_admin_request(visitors: WebUsers, wish: Mapping[str, Any]) -> dict[str, JSON]:
    """One wish: `{"verb": "invite", "name", "rank"}`, `{"verb": "people"}` or `{"verb": "remove", "name"}`.

    Gives everybody as `people`, and for an invitation its `secret`. Raises `UserError`.
    """
    secret = ""
    if wish.get("verb") == "invite":
        rank = str(wish.get("rank") or "").upper()
        _, secret = await visitors.invite(str(wish.get("name", "")), Rank[rank] if rank in Rank.__members__ else None)
    elif wish.get("verb") == "remove" and await visitors.remove(str(wish.get("name", ""))) is None:
        raise UserError(f"There is nobody called “{wish.get('name', '')}” here. `python -m bot web people` lists them.")
    return {"people": [_visitor_to_json(visitor) for visitor in await visitors.list_users()], "secret": secret}


def _visitor_to_json(visitor: Visitor) -> JSON:
    joined = visitor.joined_at.isoformat() if visitor.joined_at else ""
    return {"id": visitor.id, "name": visitor.name, "rank": visitor.rank.name.lower(), "joined": joined}
