"""The people of the page: invited by a link, known by a cookie, removed by name."""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.core.clock import Clock
from bot.core.errors import BadOption, UserError
from bot.core.ids import new_id
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.ttl_cache import TtlCache
from bot.platforms.web import request_parsing
from bot.platforms.web.auth import NO_STORE, OWNER_ID, RequestGuard
from bot.storage.database import Database
from bot.storage.web_page import Visitor

INVITATION_DAYS = 7
FRESH_SECONDS = 1.0
"""How long a cookie is believed before it is looked up again."""

_LONGEST_NAME = 40


class WebUsers:
    """Keeps the list. Invitations and cookies are 256 random bits, of which only the SHA-256 is stored."""

    def __init__(self, database: Database, clock: Clock, on_removed: Callable[[str], None] = lambda _: None) -> None:
        """`on_removed` is called with the id of somebody who was removed."""
        self._database = database
        self._clock = clock
        self._known: TtlCache[str, Visitor | None] = TtlCache(clock, FRESH_SECONDS)
        self._exist: TtlCache[None, bool] = TtlCache(clock, FRESH_SECONDS)
        self._on_removed = on_removed

    async def invite(self, name: str, rank: Rank | None = None) -> tuple[Visitor, str]:
        """An invitation for somebody, good once and for `INVITATION_DAYS`; gives them and its secret.

        Somebody known already gets a further one, for another browser, and keeps their rank unless one is given.
        The first owner takes over what was said while the page had nobody else. Raises `BadOption` for an odd name.
        """
        name, now, secret = _check_name(name), self._clock.now(), secrets.token_urlsafe(32)
        async with self._database.write() as tx:
            visitor = await tx.visitors.find_by_name(name)
            if visitor is None:
                taken = {other.id for other in await tx.visitors.list_visitors()}
                is_first_owner = rank is Rank.OWNER and OWNER_ID not in taken
                visitor = Visitor(OWNER_ID if is_first_owner else new_id(), name, rank or Rank.USER, now)
            visitor = replace(visitor, rank=visitor.rank if rank is None else rank)
            await tx.visitors.put(visitor)
            await tx.visitors.add_invitation(visitor.id, hash_secret(secret), now + timedelta(days=INVITATION_DAYS))
        self._forget()
        return visitor, secret

    async def join(self, secret: str) -> str | None:
        """Use an invitation up; gives the cookie, or None when it is unknown, expired or used."""
        cookie = secrets.token_urlsafe(32)
        async with self._database.write() as tx:
            visitor = await tx.visitors.use_invitation(hash_secret(secret), hash_secret(cookie), self._clock.now())
        return cookie if visitor else None

    async def get_by_cookie(self, cookie: str) -> Visitor | None:
        """Whose cookie this is."""
        key = hash_secret(cookie)

        async def read() -> Visitor | None:
            async with self._database.read() as tx:
                return await tx.visitors.find_by_cookie(key)

        return await self._known.get(key, read) if cookie else None

    async def list_users(self) -> list[Visitor]:
        """Everybody, in the order they were invited."""
        async with self._database.read() as tx:
            return await tx.visitors.list_visitors()

    async def has_users(self) -> bool:
        """Whether anybody was invited."""

        async def read() -> bool:
            return bool(await self.list_users())

        return await self._exist.get(None, read)

    async def remove(self, name: str) -> Visitor | None:
        """Let somebody in no more; gives who it was. What they said and spent stays."""
        async with self._database.write() as tx:
            visitor = await tx.visitors.find_by_name(name)
            if visitor is not None:
                await tx.visitors.remove(visitor.id)
        self._forget()
        if visitor is not None:
            self._on_removed(visitor.id)
        return visitor

    def _forget(self) -> None:
        self._known = TtlCache(self._clock, FRESH_SECONDS)
        self._exist = TtlCache(self._clock, FRESH_SECONDS)


def hash_secret(secret: str) -> str:
    """What is stored of a secret. It is random, so that no salt or slow hash would make it safer."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise BadOption(f"A name has 1 to {_LONGEST_NAME} letters.", option="name")
    return name


# MERGED The list of people, for the `web` verb: it asks the running bot, whose database no other process may open.
# MERGED What opens it is a secret in a file of the data folder, made anew at each start and readable by its owner
# MERGED only: whoever
# MERGED can read that file could read the database too.

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
            answer = await run_admin_request(self._visitors, await request_parsing.read_json(request))
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
