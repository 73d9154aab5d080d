"""Messages: where each part of a job's answer was posted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.jobs import MessageState, PostedMessage
from bot.core.json import JSON
from bot.core.replies import MessageRef, Recipient
from bot.storage.connection import Statements
from bot.storage.tables.jobs import messages

_ADDRESS = (
    *("platform", "workspace", "channel", "thread", "message", "token", "token_expires_at", "is_original_response"),
    *("unposted_for", "unposted_for_workspace"),
)
_CHANGING = (*_ADDRESS, "state", "start", "end", "opening")
_insert = insert(messages)
_PUT = _insert.on_conflict_do_update(
    index_elements=["job", "part"], set_={name: _insert.excluded[name] for name in _CHANGING}
)
_OF = sa.select(messages).where(messages.c.job == bindparam("of_job")).order_by(messages.c.part)
_SHOWN_IN = sa.select(messages.c.job).where(
    messages.c.platform == bindparam("of_platform"),
    sa.or_(messages.c.channel == bindparam("of_channel"), messages.c.thread == bindparam("of_channel")),
    messages.c.message == bindparam("of_message"),
)
_AT = (
    messages.c.platform == bindparam("of_platform"),
    messages.c.workspace == bindparam("of_workspace"),
    messages.c.channel == bindparam("of_channel"),
    messages.c.message == bindparam("of_message"),
)
_NOTES = sa.select(messages.c.stream).where(*_AT)
_WRITE_NOTES = sa.update(messages).where(*_AT).values(stream=bindparam("notes", type_=messages.c.stream.type))
_FORGET = (
    sa.update(messages)
    .where(sa.text("token <> ''"), messages.c.token_expires_at < bindparam("expired_before"))
    .values(token="")
)
_NO_RECIPIENT = Recipient("", "")


class MessageStore:
    """The posted messages of jobs, by part."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, message: PostedMessage) -> None:
        """Insert or replace (job, part)."""
        ref = message.ref
        address = {"platform": ref.platform, "workspace": ref.workspace, "channel": ref.channel, "thread": ref.thread}
        token = {"token": ref.token, "token_expires_at": ref.token_expires_at}
        recipient = ref.unposted_for or _NO_RECIPIENT
        unposted = {"unposted_for": recipient.user, "unposted_for_workspace": recipient.workspace}
        text = {"start": message.start, "end": message.end, "opening": message.opening}
        part = {"job": message.job, "part": message.part, "state": message.state.value}
        identity = {"message": ref.id, "is_original_response": ref.is_original_response}
        await self._run(_PUT, {**part, **address, **identity, **token, **unposted, **text})

    async def list_messages(self, job_id: str) -> list[PostedMessage]:
        """In order of their parts."""
        return [_message(row) for row in await self._run(_OF, {"of_job": job_id})]

    async def find_job(self, platform: str, channel: str, message: str) -> str | None:
        """The job that a message shows a part of. `channel` is where the message itself is: the thread, if in one."""
        facts = {"of_platform": platform, "of_channel": channel, "of_message": message}
        row = (await self._run(_SHOWN_IN, facts)).first()
        return str(row.job) if row else None

    async def erase_expired_tokens(self, expired_before: datetime) -> int:
        return (await self._run(_FORGET, {"expired_before": expired_before})).rowcount

    async def get_notes(self, ref: MessageRef) -> dict[str, JSON]:
        """What a platform wrote down about a message, to go on with it after a crash; empty for an unknown one."""
        row = (await self._run(_NOTES, _at(ref))).first()
        return dict(row.stream) if row else {}

    async def put_notes(self, ref: MessageRef, notes: Mapping[str, JSON]) -> None:
        """Replace them; harmless for an unknown message."""
        await self._run(_WRITE_NOTES, {**_at(ref), "notes": dict(notes)})


def _at(ref: MessageRef) -> dict[str, str]:
    place = {"of_platform": ref.platform, "of_workspace": ref.workspace}
    return {**place, "of_channel": ref.channel, "of_message": ref.id}


def _message(row: sa.Row[Any]) -> PostedMessage:
    return PostedMessage(
        job=row.job,
        part=row.part,
        ref=MessageRef(
            platform=row.platform,
            workspace=row.workspace,
            channel=row.channel,
            thread=row.thread,
            id=row.message,
            token=row.token,
            token_expires_at=row.token_expires_at,
            unposted_for=Recipient(row.unposted_for, row.unposted_for_workspace) if row.unposted_for else None,
            is_original_response=row.is_original_response,
        ),
        state=MessageState(row.state),
        start=row.start,
        end=row.end,
        opening=row.opening,
    )
