"""The web page's messages, so that a reload shows everything again."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.storage import PageMessage
from bot.storage import replies
from bot.storage.statements import Statements
from bot.storage.tables.talk import page_messages

_FIRST_WORDS = 80

_insert = insert(page_messages)
_PUT = _insert.on_conflict_do_update(
    index_elements=["id"], set_={name: _insert.excluded[name] for name in ("reply", "updated_at")}
)
_GET = sa.select(page_messages).where(page_messages.c.id == bindparam("message"))
_REMOVE = sa.delete(page_messages).where(page_messages.c.id == bindparam("message"))
_IN_CHANNEL = (
    sa.select(page_messages)
    .where(page_messages.c.channel == bindparam("of_channel"))
    .order_by(page_messages.c.created_at.desc(), page_messages.c.id.desc())
    .limit(bindparam("most"))
)

_OF = sa.select(page_messages.c.id, page_messages.c.channel).where(page_messages.c.user == bindparam("of_user"))
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


class SqlPageStore:
    """Implements `core.storage.PageStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, message: PageMessage) -> None:
        row = {name: getattr(message, name) for name in PageMessage.__slots__}
        await self._run(_PUT, row | {"reply": replies.to_json(message.reply)})

    async def get(self, message_id: str) -> PageMessage | None:
        row = (await self._run(_GET, {"message": message_id})).first()
        return _message(row) if row else None

    async def in_channel(self, channel: str, limit: int) -> list[PageMessage]:
        rows = await self._run(_IN_CHANNEL, {"of_channel": channel, "most": limit})
        return [_message(row) for row in rows][::-1]

    async def remove(self, message_id: str) -> None:
        await self._run(_REMOVE, {"message": message_id})

    async def of(self, user: str) -> list[tuple[str, str]]:
        return [(row.id, row.channel) for row in await self._run(_OF, {"of_user": user})]

    async def channels_of(self, user: str, limit: int) -> list[tuple[str, str, datetime]]:
        rows = await self._run(_CHANNELS_OF, {"of_user": user, "most": limit})
        changed = {row.channel: row.changed_at for row in rows}
        openings = await self._run(_OPENINGS, {"channels": list(changed)})
        words = {row.channel: str(row.reply.get("text", ""))[:_FIRST_WORDS] for row in openings}
        return [(channel, words[channel], at) for channel, at in changed.items()]


def _message(row: sa.Row[Any]) -> PageMessage:
    facts = {name: getattr(row, name) for name in PageMessage.__slots__}
    return PageMessage(**facts | {"reply": replies.from_json(row.reply)})
