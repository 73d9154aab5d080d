"""Stores the posted messages of jobs: address, text range and the platform's own notes of each part."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.jobs import MessageState, PostedMessage
from bot.core.json import JSON
from bot.core.replies import MessageRef, Recipient
from bot.storage.connection import Statements
from bot.storage.tables.jobs import messages

_UPDATED = (
    *("platform", "workspace", "channel", "thread", "message", "token", "token_expires_at"),
    *("unposted_for", "unposted_for_workspace", "is_original_response", "state", "start", "end", "opening"),
)
_insert = insert(messages)
_UPSERT = _insert.on_conflict_do_update(
    index_elements=["job", "part"], set_={name: _insert.excluded[name] for name in _UPDATED}
)
_SELECT_BY_JOB = sa.select(messages).where(messages.c.job == bindparam("of_job")).order_by(messages.c.part)
_SELECT_JOB = sa.select(messages.c.job).where(
    messages.c.platform == bindparam("of_platform"),
    # A Discord event in a thread names the thread as channel; the row has the thread beside its parent channel.
    sa.or_(messages.c.channel == bindparam("of_channel"), messages.c.thread == bindparam("of_channel")),
    messages.c.message == bindparam("of_message"),
)
_HAS_ADDRESS = (
    messages.c.platform == bindparam("of_platform"),
    messages.c.workspace == bindparam("of_workspace"),
    messages.c.channel == bindparam("of_channel"),
    messages.c.message == bindparam("of_message"),
)
_SELECT_NOTES = sa.select(messages.c.notes).where(*_HAS_ADDRESS)
_UPDATE_NOTES = (
    sa.update(messages).where(*_HAS_ADDRESS).values(notes=bindparam("new_notes", type_=messages.c.notes.type))
)
_ERASE_TOKENS = (
    sa.update(messages)
    .where(sa.text("token <> ''"), messages.c.token_expires_at < bindparam("expired_before"))
    .values(token="")
)


class MessageStore:
    """Reads and writes the parts of each job's answer."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._post = statements.post

    async def put(self, message: PostedMessage) -> None:
        """Insert one part of a job's answer, or replace the part."""
        ref = message.ref
        recipient = ref.unposted_for or Recipient("", "")
        row = {
            "job": message.job,
            "part": message.part,
            "platform": ref.platform,
            "workspace": ref.workspace,
            "channel": ref.channel,
            "thread": ref.thread,
            "message": ref.id,
            "token": ref.token,
            "token_expires_at": ref.token_expires_at,
            "unposted_for": recipient.user,
            "unposted_for_workspace": recipient.workspace,
            "is_original_response": ref.is_original_response,
            "state": message.state.value,
            "start": message.start,
            "end": message.end,
            "opening": message.opening,
        }
        await self._post(_UPSERT, row)

    async def list_messages(self, job_id: str) -> list[PostedMessage]:
        """List the parts of a job's answer in order."""
        return [_message_from_row(row) for row in await self._run(_SELECT_BY_JOB, {"of_job": job_id})]

    async def find_job(self, platform: str, channel: str, message: str) -> str | None:
        """Find the id of the job behind a message. `channel` is the thread for a message in a thread."""
        facts = {"of_platform": platform, "of_channel": channel, "of_message": message}
        row = (await self._run(_SELECT_JOB, facts)).first()
        return str(row.job) if row else None

    async def erase_expired_tokens(self, expired_before: datetime) -> int:
        """Erase the interaction tokens expired before a time. Returns the number of tokens."""
        return (await self._run(_ERASE_TOKENS, {"expired_before": expired_before})).rowcount

    async def get_notes(self, ref: MessageRef) -> dict[str, JSON]:
        """Read the platform's notes of a message. An unknown message has none."""
        row = (await self._run(_SELECT_NOTES, _bind_address(ref))).first()
        return dict(row.notes) if row else {}

    async def put_notes(self, ref: MessageRef, notes: Mapping[str, JSON]) -> None:
        """Replace the platform's notes of a message. Harmless for an unknown message."""
        await self._run(_UPDATE_NOTES, {**_bind_address(ref), "new_notes": dict(notes)})


def _bind_address(ref: MessageRef) -> dict[str, str]:
    return {
        "of_platform": ref.platform,
        "of_workspace": ref.workspace,
        "of_channel": ref.channel,
        "of_message": ref.id,
    }


def _message_from_row(row: sa.Row[Any]) -> PostedMessage:
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
