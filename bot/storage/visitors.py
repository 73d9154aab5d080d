"""Visitors: the people of the web page, and the SHA-256 of what lets them in."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.people import Rank
from bot.core.storage import Visitor
from bot.storage.speaking import Rows
from bot.storage.statements import Statements
from bot.storage.tables.people import visitor_keys, visitors

_insert = insert(visitors)
_PUT = _insert.on_conflict_do_update(
    index_elements=["id"], set_={name: _insert.excluded[name] for name in ("name", "name_folded", "rank")}
)
_ALL = sa.select(visitors).order_by(visitors.c.invited_at, visitors.c.id)
_BY_NAME = sa.select(visitors).where(visitors.c.name_folded == bindparam("folded"))
_BY_COOKIE = (
    sa.select(visitors)
    .join_from(visitor_keys, visitors, visitors.c.id == visitor_keys.c.visitor)
    .where(visitor_keys.c.sha256 == bindparam("key"), ~visitor_keys.c.is_invitation)
)
_ADD_KEY = sa.insert(visitor_keys)
# One statement takes the invitation away and says whose it was: two who use it at once cannot both be let in.
_USE = (
    sa.delete(visitor_keys)
    .where(
        visitor_keys.c.sha256 == bindparam("key"),
        visitor_keys.c.is_invitation,
        visitor_keys.c.expires_at > bindparam("at"),
    )
    .returning(visitor_keys.c.visitor)
)
_JOIN = (
    sa.update(visitors)
    .where(visitors.c.id == bindparam("visitor"))
    .values(joined_at=sa.func.coalesce(visitors.c.joined_at, bindparam("at", type_=visitors.c.joined_at.type)))
    .returning(visitors)
)
_REMOVE_KEYS = sa.delete(visitor_keys).where(visitor_keys.c.visitor == bindparam("of_visitor"))
_REMOVE = sa.delete(visitors).where(visitors.c.id == bindparam("of_visitor"))


class SqlVisitorStore:
    """Implements `core.storage.VisitorStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, visitor: Visitor) -> None:
        row = {name: getattr(visitor, name) for name in Visitor.__slots__}
        names = {"name_folded": visitor.name.casefold(), "rank": visitor.rank.name.lower()}
        await self._run(_PUT, row | names)

    async def all(self) -> list[Visitor]:
        return [_visitor(row) for row in await self._run(_ALL)]

    async def by_name(self, name: str) -> Visitor | None:
        return _one(await self._run(_BY_NAME, {"folded": name.casefold()}))

    async def by_cookie(self, sha256: str) -> Visitor | None:
        return _one(await self._run(_BY_COOKIE, {"key": sha256}))

    async def add_invitation(self, visitor: str, sha256: str, expires_at: datetime) -> None:
        key = {"sha256": sha256, "visitor": visitor, "is_invitation": True, "expires_at": expires_at}
        await self._run(_ADD_KEY, key)

    async def use_invitation(self, sha256: str, cookie_sha256: str, at: datetime) -> Visitor | None:
        used = (await self._run(_USE, {"key": sha256, "at": at})).first()
        if used is None:
            return None
        cookie = {"sha256": cookie_sha256, "visitor": used.visitor, "is_invitation": False, "expires_at": None}
        await self._run(_ADD_KEY, cookie)
        return _one(await self._run(_JOIN, {"visitor": used.visitor, "at": at}))

    async def remove(self, visitor: str) -> None:
        await self._run(_REMOVE_KEYS, {"of_visitor": visitor})
        await self._run(_REMOVE, {"of_visitor": visitor})


def _one(rows: Rows) -> Visitor | None:
    row = rows.first()
    return _visitor(row) if row else None


def _visitor(row: sa.Row[Any]) -> Visitor:
    return Visitor(row.id, row.name, Rank[row.rank.upper()], row.invited_at, row.joined_at)
