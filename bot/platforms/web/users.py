"""The page's users: invitations by link, cookies, removal by name; and the same over HTTP for the `web` verb."""

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

from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.errors import BadOption, UserError
from bot.core.ids import new_id
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.private_files import create_private_folder
from bot.platforms.web import request_parsing
from bot.platforms.web.auth import NO_STORE, OWNER_ID, Access, Route
from bot.storage.database import Database
from bot.storage.web_page import Visitor

INVITATION_DAYS = 7
KEY_FILE = "web.key"
ADMIN_PATH = "/admin/people"

# Every request looks a cookie up; another process may remove the user meanwhile.
_CACHE_SECONDS = 1.0
_MAX_NAME_CHARACTERS = 40


class WebUsers:
    """The users in the database. Invitations and cookies are 256 random bits; the database holds the SHA-256 alone."""

    def __init__(self, database: Database, clock: Clock, on_removed: Callable[[str], None] = lambda _: None) -> None:
        """`on_removed` receives the id of each removed user."""
        self.clock = clock
        self._database = database
        self._visitors: TtlCache[str, Visitor | None] = TtlCache(clock, _CACHE_SECONDS)
        self._was_invited: TtlCache[None, bool] = TtlCache(clock, _CACHE_SECONDS)
        self._cookie_secrets: TtlCache[None, str] = TtlCache(clock, _CACHE_SECONDS)
        self._on_removed = on_removed

    async def invite(self, name: str, rank: Rank | None = None) -> tuple[Visitor, str]:
        """Create an invitation for a single use within `INVITATION_DAYS`; return the user and the secret.

        A known user gets a further invitation, for another browser, and keeps the rank unless `rank` is given. Raise
        `BadOption` if the name is too long or unprintable.
        """
        name, now, secret = _check_name(name), self.clock.now(), secrets.token_urlsafe(32)
        async with self._database.write() as tx:
            visitor = await tx.visitors.find_by_name(name)
            if visitor is None:
                known_ids = {other.id for other in await tx.visitors.list_visitors()}
                # The first invited owner takes over the conversations from before any invitation.
                is_first_owner = rank is Rank.OWNER and OWNER_ID not in known_ids
                visitor = Visitor(OWNER_ID if is_first_owner else new_id(), name, rank or Rank.USER, now)
            visitor = replace(visitor, rank=visitor.rank if rank is None else rank)
            await tx.visitors.put(visitor)
            await tx.visitors.note_invited(now)
            await tx.visitors.add_invitation(visitor.id, _hash_secret(secret), now + timedelta(days=INVITATION_DAYS))
        self._clear_caches()
        return visitor, secret

    async def join(self, secret: str) -> str | None:
        """Use an invitation up and return a cookie; None if the invitation is unknown, expired or used."""
        cookie = secrets.token_urlsafe(32)
        # A single transaction: of two simultaneous uses of an invitation only the first succeeds.
        async with self._database.write() as tx:
            visitor = await tx.visitors.use_invitation(_hash_secret(secret), _hash_secret(cookie), self.clock.now())
        return cookie if visitor else None

    async def get_by_cookie(self, cookie: str) -> Visitor | None:
        """Return the user of a cookie, None for an unknown cookie."""
        key = _hash_secret(cookie)

        async def load() -> Visitor | None:
            async with self._database.read() as tx:
                return await tx.visitors.find_by_cookie(key)

        return await self._visitors.get(key, load) if cookie else None

    async def list_users(self) -> list[Visitor]:
        """Return all users in the order of invitation."""
        async with self._database.read() as tx:
            return await tx.visitors.list_visitors()

    async def was_invited(self) -> bool:
        """Return whether any person was ever invited, a removed person included."""

        async def load() -> bool:
            async with self._database.read() as tx:
                return await tx.visitors.was_invited()

        return await self._was_invited.get(None, load)

    async def get_cookie_secret(self) -> str:
        """Return the random text in the owner's cookie, made at the first call: the cookie cannot be guessed."""

        async def load() -> str:
            async with self._database.read() as tx:
                known = await tx.visitors.find_cookie_secret()
            if known is not None:
                return known
            async with self._database.write() as tx:
                secret = await tx.visitors.find_cookie_secret() or secrets.token_urlsafe(32)
                await tx.visitors.put_cookie_secret(secret, self.clock.now())
            return secret

        return await self._cookie_secrets.get(None, load)

    async def remove(self, name: str) -> Visitor | None:
        """Remove a user's access and return the user, None if unknown. Messages and ledger entries stay."""
        async with self._database.write() as tx:
            visitor = await tx.visitors.find_by_name(name)
            if visitor is not None:
                # A database of 0.1.0 has visitors without the note.
                await tx.visitors.note_invited(self.clock.now())
                await tx.visitors.remove(visitor.id)
        self._clear_caches()
        if visitor is not None:
            self._on_removed(visitor.id)
        return visitor

    def _clear_caches(self) -> None:
        self._visitors.clear()
        self._was_invited.clear()


class WebUserAdmin:
    """Serves `run_admin_request` to the `web` verb: on SQLite no second process may open the running bot's database.

    A file in the data folder holds the secret, new at each start and readable by the file's owner alone: the same
    person could read the database.
    """

    def __init__(self, users: WebUsers, key_file: Path | None) -> None:
        self._users = users
        self._key_file = key_file
        self._secret = secrets.token_urlsafe(32)

    def routes(self) -> list[Route]:
        # PUBLIC: the secret replaces the cookie.
        return [Route("POST", ADMIN_PATH, Access.PUBLIC, self._serve)] if self._key_file else []

    def write_key(self, address: str) -> None:
        """Write the secret and the page's address to the key file."""
        if self._key_file is None:
            return
        create_private_folder(self._key_file.parent)
        # Deleted and created with O_EXCL: an old file may be readable by others, or be a link of theirs.
        self._key_file.unlink(missing_ok=True)
        descriptor = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"address": address, "secret": self._secret}, file)

    def remove_key(self) -> None:
        """Delete the key file; a missing file is fine."""
        if self._key_file is not None:
            with contextlib.suppress(OSError):
                self._key_file.unlink()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(secret.encode("utf-8", "replace"), self._secret.encode()):
            raise web.HTTPUnauthorized(text="Only who runs the bot may do this.")
        try:
            result = await run_admin_request(self._users, await request_parsing.read_json(request))
        except UserError as error:
            return web.Response(status=400, text=str(error))
        return web.json_response(result, headers=NO_STORE)


async def run_admin_request(users: WebUsers, request: Mapping[str, Any]) -> dict[str, JSON]:
    """Run `{"verb": "invite", "name", "rank"}`, `{"verb": "people"}` or `{"verb": "remove", "name"}`.

    Return all users as `people`, and for an invitation the `secret`. Raise `UserError` if a name is unfit or unknown.
    """
    secret = ""
    name = str(request.get("name", ""))
    if request.get("verb") == "invite":
        rank = str(request.get("rank") or "").upper()
        _, secret = await users.invite(name, Rank[rank] if rank in Rank.__members__ else None)
    elif request.get("verb") == "remove" and await users.remove(name) is None:
        raise UserError(f"There is nobody called “{name}” here. `python -m bot web people` lists them.")
    return {"people": [_visitor_to_json(visitor) for visitor in await users.list_users()], "secret": secret}


def _visitor_to_json(visitor: Visitor) -> JSON:
    joined = visitor.joined_at.isoformat() if visitor.joined_at else ""
    return {"id": visitor.id, "name": visitor.name, "rank": visitor.rank.name.lower(), "joined": joined}


def _hash_secret(secret: str) -> str:
    # The secrets are random: a salt or a slow hash would add nothing.
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
        raise BadOption(f"A name has 1 to {_MAX_NAME_CHARACTERS} letters.", option="name")
    return name
