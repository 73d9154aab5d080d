"""Stores the web page's messages and visitors."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.people import PersonKey, Rank
from bot.core.replies import Button, Picture, Progress, Reply, Stage, TextFile, Tone
from bot.storage.connection import Rows, Statements
from bot.storage.personal_data import PAGE
from bot.storage.tables.people import page_messages, visitor_keys, visitors

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


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody whom the web page knows by invitation. Names are unique, whatever their case."""

    id: str
    name: str
    rank: Rank
    invited_at: datetime
    joined_at: datetime | None = None
    """When they first used an invitation."""


class VisitorStore:
    """The people of the web page, and what lets them in: only SHA-256 of invitations and cookies are kept."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, visitor: Visitor) -> None:
        """Insert, or replace name and rank."""
        row = {name: getattr(visitor, name) for name in Visitor.__slots__}
        names = {"name_folded": visitor.name.casefold(), "rank": visitor.rank.name.lower()}
        await self._run(_PUT, row | names)

    async def list_visitors(self) -> list[Visitor]:
        """In the order they were invited."""
        return [_visitor(row) for row in await self._run(_ALL)]

    async def find_by_name(self, name: str) -> Visitor | None:
        return _one(await self._run(_BY_NAME, {"folded": name.casefold()}))

    async def find_by_cookie(self, sha256: str) -> Visitor | None:
        return _one(await self._run(_BY_COOKIE, {"key": sha256}))

    async def add_invitation(self, visitor: str, sha256: str, expires_at: datetime) -> None:
        key = {"sha256": sha256, "visitor": visitor, "is_invitation": True, "expires_at": expires_at}
        await self._run(_ADD_KEY, key)

    async def use_invitation(self, sha256: str, cookie_sha256: str, at: datetime) -> Visitor | None:
        """Turn an invitation into a cookie, once. None when it is unknown, expired or used."""
        used = (await self._run(_USE, {"key": sha256, "at": at})).first()
        if used is None:
            return None
        cookie = {"sha256": cookie_sha256, "visitor": used.visitor, "is_invitation": False, "expires_at": None}
        await self._run(_ADD_KEY, cookie)
        return _one(await self._run(_JOIN, {"visitor": used.visitor, "at": at}))

    async def remove(self, visitor: str) -> None:
        """Forget somebody, with every key they have."""
        await self._run(_REMOVE_KEYS, {"of_visitor": visitor})
        await self._run(_REMOVE, {"of_visitor": visitor})


def _one(rows: Rows) -> Visitor | None:
    row = rows.first()
    return _visitor(row) if row else None


def _visitor(row: sa.Row[Any]) -> Visitor:
    return Visitor(row.id, row.name, Rank[row.rank.upper()], row.invited_at, row.joined_at)


_FIRST_WORDS = 80

_insert_message = insert(page_messages)
_PUT_MESSAGE = _insert_message.on_conflict_do_update(
    index_elements=["id"], set_={name: _insert_message.excluded[name] for name in ("reply", "updated_at")}
)
_GET_MESSAGE = sa.select(page_messages).where(page_messages.c.id == bindparam("message"))
_REMOVE_MESSAGE = sa.delete(page_messages).where(page_messages.c.id == bindparam("message"))
_IN_CHANNEL = (
    sa.select(page_messages)
    .where(page_messages.c.channel == bindparam("of_channel"))
    .order_by(page_messages.c.created_at.desc(), page_messages.c.id.desc())
    .limit(bindparam("most"))
)

_MESSAGES_OF = sa.select(page_messages.c.id, page_messages.c.channel).where(
    page_messages.c.user == bindparam("of_user")
)
_theirs = sa.select(page_messages.c.channel).where(page_messages.c.user == bindparam("of_user"))
_last_change = sa.func.max(page_messages.c.updated_at)
_CHANNELS_OF = (
    sa.select(page_messages.c.channel, _last_change.label("changed_at"))
    .where(page_messages.c.channel.in_(_theirs))
    .group_by(page_messages.c.channel)
    .order_by(_last_change.desc(), page_messages.c.channel)
    .limit(bindparam("most"))
)
_number = sa.func.row_number().over(
    partition_by=page_messages.c.channel,
    order_by=(page_messages.c.is_from_bot, page_messages.c.created_at, page_messages.c.id),
)
_ranked = (
    sa.select(page_messages.c.channel, page_messages.c.reply, _number.label("number"))
    .where(page_messages.c.channel.in_(bindparam("channels", expanding=True)))
    .subquery()
)
_OPENINGS = sa.select(_ranked.c.channel, _ranked.c.reply).where(_ranked.c.number == 1)


@dataclass(frozen=True, slots=True)
class PageMessage:
    """One message on the web page, which is its own Discord: what was said, by a person or by the bot."""

    id: str
    channel: str
    user: str
    job: str
    is_from_bot: bool
    reply: Reply
    created_at: datetime
    updated_at: datetime


class PageStore:
    """The messages of the web page, so that a reload shows everything again."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, message: PageMessage) -> None:
        """Insert, or replace the reply and `updated_at`."""
        row = {name: getattr(message, name) for name in PageMessage.__slots__}
        await self._run(_PUT_MESSAGE, row | {"reply": reply_to_json(message.reply)})

    async def get(self, message_id: str) -> PageMessage | None:
        row = (await self._run(_GET_MESSAGE, {"message": message_id})).first()
        return _message(row) if row else None

    async def list_in_channel(self, channel: str, limit: int) -> list[PageMessage]:
        """The latest messages, oldest first."""
        rows = await self._run(_IN_CHANNEL, {"of_channel": channel, "most": limit})
        return [_message(row) for row in rows][::-1]

    async def remove(self, message_id: str) -> None:
        """Forget one message; harmless when it is not there."""
        await self._run(_REMOVE_MESSAGE, {"message": message_id})

    async def list_by_user(self, person: PersonKey) -> list[tuple[str, str]]:
        """Return (message, channel) of a person's messages on the page and the bot's answers; empty elsewhere."""
        if person.platform != PAGE:
            return []
        return [(row.id, row.channel) for row in await self._run(_MESSAGES_OF, {"of_user": person.id})]

    async def list_channels(self, user: str, limit: int) -> list[tuple[str, str, datetime]]:
        """(channel, first words, last change), newest first."""
        rows = await self._run(_CHANNELS_OF, {"of_user": user, "most": limit})
        changed = {row.channel: row.changed_at for row in rows}
        openings = await self._run(_OPENINGS, {"channels": list(changed)})
        words = {row.channel: str(row.reply.get("text", ""))[:_FIRST_WORDS] for row in openings}
        return [(channel, words[channel], at) for channel, at in changed.items()]


def _message(row: sa.Row[Any]) -> PageMessage:
    facts = {name: getattr(row, name) for name in PageMessage.__slots__}
    return PageMessage(**facts | {"reply": reply_from_json(row.reply)})


def reply_to_json(reply: Reply) -> dict[str, Any]:
    """Plain JSON with the names of the fields; `reply` comes back equal from `reply_from_json`."""
    return asdict(reply)


def reply_from_json(kept: dict[str, Any]) -> Reply:
    """The reply that `reply_to_json` wrote. A field that did not exist yet takes its default."""
    progress = kept.get("progress")
    return Reply(
        **kept
        | {
            "pictures": tuple(Picture(**picture) for picture in kept.get("pictures", ())),
            "progress": Progress(**progress | {"stage": Stage(progress["stage"])}) if progress else None,
            "buttons": tuple(Button(**button) for button in kept.get("buttons", ())),
            "files": tuple(TextFile(**file) for file in kept.get("files", ())),
            "tone": Tone(kept.get("tone", Tone.PLAIN)),
        }
    )
