"""Stores the visitors of the web page, the keys that admit visitors, and the page's messages."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core import limits
from bot.core.json import JSON
from bot.core.people import Actor, PersonKey, Rank
from bot.core.replies import Button, Picture, Progress, Reply, ResultFile, Stage, TextFile, Tone
from bot.storage.connection import Rows, Statements
from bot.storage.personal_data import PAGE
from bot.storage.policies import Policy, PolicyStore
from bot.storage.tables.people import page_files, page_messages, visitor_keys, visitors

_insert = insert(visitors)
_UPSERT = _insert.on_conflict_do_update(
    index_elements=["id"], set_={name: _insert.excluded[name] for name in ("name", "name_folded", "rank")}
)
_SELECT_ALL = sa.select(visitors).order_by(visitors.c.invited_at, visitors.c.id)
_SELECT_BY_NAME = sa.select(visitors).where(visitors.c.name_folded == bindparam("folded"))
_SELECT_BY_COOKIE = (
    sa.select(visitors)
    .join_from(visitor_keys, visitors, visitors.c.id == visitor_keys.c.visitor)
    .where(visitor_keys.c.sha256 == bindparam("key"), ~visitor_keys.c.is_invitation)
)
_INSERT_KEY = sa.insert(visitor_keys)
# Delete and read in one statement: an invitation opened twice at the same moment admits one browser.
_USE_INVITATION = (
    sa.delete(visitor_keys)
    .where(
        visitor_keys.c.sha256 == bindparam("key"),
        visitor_keys.c.is_invitation,
        visitor_keys.c.expires_at > bindparam("at"),
    )
    .returning(visitor_keys.c.visitor)
)
_RECORD_JOIN = (
    sa.update(visitors)
    .where(visitors.c.id == bindparam("visitor"))
    .values(joined_at=sa.func.coalesce(visitors.c.joined_at, bindparam("at", type_=visitors.c.joined_at.type)))
    .returning(visitors)
)
# Beside the policies of the page's workspace, which moderators list and change.
_ACCESS = (PAGE, "page.access")
_WAS_INVITED = "was_invited"
_COOKIE_SECRET = "cookie_secret"  # noqa: S105 - the key of the row
_DELETE_KEYS = sa.delete(visitor_keys).where(visitor_keys.c.visitor == bindparam("of_visitor"))
_DELETE = sa.delete(visitors).where(visitors.c.id == bindparam("of_visitor"))


@dataclass(frozen=True, slots=True)
class Visitor:
    """An invited person of the web page. Names are unique in any case."""

    id: str
    name: str
    rank: Rank
    invited_at: datetime
    joined_at: datetime | None = None
    """The time of the first used invitation."""


class VisitorStore:
    """Reads and writes visitors and keys. Only the SHA-256 of an invitation or cookie is stored."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._policies = PolicyStore(statements)

    async def note_invited(self, at: datetime) -> None:
        """Note for good that a visitor was invited: the page is never open to a stranger again."""
        await self._put_access(_WAS_INVITED, True, at)

    async def was_invited(self) -> bool:
        """Return whether any visitor was ever invited, a removed visitor included."""
        return _WAS_INVITED in await self._list_access() or bool(await self.list_visitors())

    async def find_cookie_secret(self) -> str | None:
        """Find the random text in the owner's cookie, None before the first `put_cookie_secret`."""
        secret = (await self._list_access()).get(_COOKIE_SECRET)
        return secret if isinstance(secret, str) else None

    async def put_cookie_secret(self, secret: str, at: datetime) -> None:
        """Store the random text in the owner's cookie. The text alone opens nothing: the cookie needs the token too."""
        await self._put_access(_COOKIE_SECRET, secret, at)

    async def _list_access(self) -> dict[str, JSON]:
        policies = await self._policies.list_policies(*_ACCESS)
        return {policy.key: policy.value for policy in policies if (policy.platform, policy.workspace) == _ACCESS}

    async def _put_access(self, key: str, value: JSON, at: datetime) -> None:
        await self._policies.put(Policy(*_ACCESS, "workspace", "", key, value, Actor(), at))

    async def put(self, visitor: Visitor) -> None:
        """Insert a visitor, or replace name and rank."""
        row = {name: getattr(visitor, name) for name in Visitor.__slots__}
        names = {"name_folded": visitor.name.casefold(), "rank": visitor.rank.name.lower()}
        await self._run(_UPSERT, row | names)

    async def list_visitors(self) -> list[Visitor]:
        """List all visitors by time of invitation."""
        return [_visitor_from_row(row) for row in await self._run(_SELECT_ALL)]

    async def find_by_name(self, name: str) -> Visitor | None:
        """Find a visitor by name in any case."""
        return _parse_first(await self._run(_SELECT_BY_NAME, {"folded": name.casefold()}))

    async def find_by_cookie(self, sha256: str) -> Visitor | None:
        """Find the visitor of a cookie."""
        return _parse_first(await self._run(_SELECT_BY_COOKIE, {"key": sha256}))

    async def add_invitation(self, visitor: str, sha256: str, expires_at: datetime) -> None:
        """Store an invitation of a visitor until the expiry."""
        key = {"sha256": sha256, "visitor": visitor, "is_invitation": True, "expires_at": expires_at}
        await self._run(_INSERT_KEY, key)

    async def use_invitation(self, sha256: str, cookie_sha256: str, at: datetime) -> Visitor | None:
        """Turn an invitation into a cookie, once. Returns None for an unknown, expired or used invitation."""
        used = (await self._run(_USE_INVITATION, {"key": sha256, "at": at})).first()
        if used is None:
            return None
        cookie = {"sha256": cookie_sha256, "visitor": used.visitor, "is_invitation": False, "expires_at": None}
        await self._run(_INSERT_KEY, cookie)
        return _parse_first(await self._run(_RECORD_JOIN, {"visitor": used.visitor, "at": at}))

    async def remove(self, visitor: str) -> None:
        """Delete a visitor with all keys: every browser is logged out."""
        await self._run(_DELETE_KEYS, {"of_visitor": visitor})
        await self._run(_DELETE, {"of_visitor": visitor})


def _parse_first(rows: Rows) -> Visitor | None:
    row = rows.first()
    return _visitor_from_row(row) if row else None


def _visitor_from_row(row: sa.Row[Any]) -> Visitor:
    return Visitor(row.id, row.name, Rank[row.rank.upper()], row.invited_at, row.joined_at)


_TITLE_CHARACTERS = 80
"""The length of a channel's title in the page's list of channels."""

_insert_message = insert(page_messages)
_UPSERT_MESSAGE = _insert_message.on_conflict_do_update(
    index_elements=["id"], set_={name: _insert_message.excluded[name] for name in ("reply", "updated_at")}
)
_SELECT_MESSAGE = sa.select(page_messages).where(page_messages.c.id == bindparam("message"))
_DELETE_MESSAGE = sa.delete(page_messages).where(page_messages.c.id == bindparam("message"))
_insert_file = insert(page_files)
_UPSERT_FILE = _insert_file.on_conflict_do_update(
    index_elements=["message", "n"], set_={"text": _insert_file.excluded["text"]}
)
# The bot's answer to a person has the person as user.
_messages_with_files = (
    sa.select(page_messages.c.id)
    .where(page_messages.c.user == bindparam("of_user"), page_messages.c.id.in_(sa.select(page_files.c.message)))
    .order_by(page_messages.c.created_at.desc(), page_messages.c.id.desc())
    .offset(limits.MAX_MESSAGES_WITH_FILES)
)
_DELETE_OLD_FILES = sa.delete(page_files).where(page_files.c.message.in_(_messages_with_files))
_SELECT_FILES = sa.select(page_files.c.n, page_files.c.text).where(page_files.c.message == bindparam("of_message"))
_SELECT_BY_CHANNEL = (
    sa.select(page_messages)
    .where(page_messages.c.channel == bindparam("of_channel"))
    .order_by(page_messages.c.created_at.desc(), page_messages.c.id.desc())
    .limit(bindparam("most"))
    .offset(bindparam("skipped"))
)
_COUNT_IN_CHANNEL = sa.select(sa.func.count()).select_from(
    sa.select(page_messages.c.id)
    .where(page_messages.c.channel == bindparam("of_channel"))
    .limit(bindparam("most"))
    .subquery()
)
# Rows in memory at once: a message has up to 100,000 characters, and a snapshot up to ten times as many.
_ROWS_PER_READ = 10
# Buttons, times and names of a message in JSON, beside the words.
_FIXED_CHARACTERS = 300

_SELECT_BY_USER = sa.select(page_messages.c.id, page_messages.c.channel).where(
    page_messages.c.user == bindparam("of_user")
)
_channels_of_user = sa.select(page_messages.c.channel).where(page_messages.c.user == bindparam("of_user"))
_last_change = sa.func.max(page_messages.c.updated_at)
_SELECT_CHANNELS = (
    sa.select(page_messages.c.channel, _last_change.label("changed_at"))
    .where(page_messages.c.channel.in_(_channels_of_user))
    .group_by(page_messages.c.channel)
    .order_by(_last_change.desc(), page_messages.c.channel)
    .limit(bindparam("most"))
)
# The first message of a user; a channel with messages of the bot alone takes the bot's first.
_number = sa.func.row_number().over(
    partition_by=page_messages.c.channel,
    order_by=(page_messages.c.is_from_bot, page_messages.c.created_at, page_messages.c.id),
)
_ranked = (
    sa.select(page_messages.c.channel, page_messages.c.reply, _number.label("number"))
    .where(page_messages.c.channel.in_(bindparam("channels", expanding=True)))
    .subquery()
)
_SELECT_FIRST_MESSAGES = sa.select(_ranked.c.channel, _ranked.c.reply).where(_ranked.c.number == 1)


@dataclass(frozen=True, slots=True)
class PageMessage:
    """One message of the web page, by a user or by the bot."""

    id: str
    channel: str
    user: str
    job: str
    is_from_bot: bool
    reply: Reply
    created_at: datetime
    updated_at: datetime


class PageStore:
    """Reads and writes the page's messages: the page has no server of a chat platform to read from after a reload."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, message: PageMessage) -> None:
        """Insert a message, or replace the reply and `updated_at`. The contents of files have rows of their own."""
        row = {name: getattr(message, name) for name in PageMessage.__slots__}
        await self._run(_UPSERT_MESSAGE, row | {"reply": reply_to_json(without_file_contents(message).reply)})
        # A message read without contents keeps the stored contents.
        texts = [(n, file.text) for n, file in enumerate(message.reply.files) if file.text]
        for n, text in texts:
            await self._run(_UPSERT_FILE, {"message": message.id, "n": n, "text": text})
        if texts:
            await self._run(_DELETE_OLD_FILES, {"of_user": message.user})

    async def get(self, message_id: str) -> PageMessage | None:
        """Read one message with the contents of its files."""
        row = (await self._run(_SELECT_MESSAGE, {"message": message_id})).first()
        message = _message_from_row(row) if row else None
        if message is None or not message.reply.files:
            return message
        texts = {row.n: row.text for row in await self._run(_SELECT_FILES, {"of_message": message_id})}
        # Messages from before migration 0003 hold the contents themselves.
        files = [replace(file, text=texts.get(n, file.text)) for n, file in enumerate(message.reply.files)]
        return replace(message, reply=replace(message.reply, files=tuple(files)))

    async def count_in_channel(self, channel: str, limit: int) -> int:
        """Count the messages of a channel, at most `limit`."""
        return int((await self._run(_COUNT_IN_CHANNEL, {"of_channel": channel, "most": limit})).scalar_one())

    async def list_in_channel(self, channel: str, limit: int) -> list[PageMessage]:
        """List the latest messages of a channel, oldest first.

        The list ends at `limit` messages or at `MAX_SNAPSHOT_CHARACTERS`, but has the latest message in any case.
        """
        found: list[PageMessage] = []
        while len(found) < limit:
            most = min(_ROWS_PER_READ, limit - len(found))
            facts = {"of_channel": channel, "most": most, "skipped": len(found)}
            rows = list(await self._run(_SELECT_BY_CHANNEL, facts))
            found += [without_file_contents(_message_from_row(row)) for row in rows]
            kept = take_latest(found[::-1])
            if len(kept) < len(found) or len(rows) < most:
                return kept
        return found[::-1]

    async def remove(self, message_id: str) -> None:
        """Delete a message. Harmless for an unknown id."""
        await self._run(_DELETE_MESSAGE, {"message": message_id})

    async def list_by_user(self, person: PersonKey) -> list[tuple[str, str]]:
        """List (message, channel) of a person's messages on the page and of the bot's answers; none elsewhere."""
        if person.platform != PAGE:
            return []
        return [(row.id, row.channel) for row in await self._run(_SELECT_BY_USER, {"of_user": person.id})]

    async def list_channels(self, user: str, limit: int) -> list[tuple[str, str, datetime]]:
        """List the channels of a user as (channel, title, last change), newest change first."""
        rows = await self._run(_SELECT_CHANNELS, {"of_user": user, "most": limit})
        changed = {row.channel: row.changed_at for row in rows}
        first_messages = await self._run(_SELECT_FIRST_MESSAGES, {"channels": list(changed)})
        titles = {row.channel: str(row.reply.get("text", ""))[:_TITLE_CHARACTERS] for row in first_messages}
        return [(channel, titles[channel], at) for channel, at in changed.items()]


def take_latest(messages: list[PageMessage]) -> list[PageMessage]:
    """Return the last messages within `MAX_SNAPSHOT_CHARACTERS`, and the very last in any case, oldest first."""
    left = limits.MAX_SNAPSHOT_CHARACTERS
    for taken, message in enumerate(reversed(messages)):
        left -= count_characters(message)
        if left < 0 and taken:
            return messages[len(messages) - taken :]
    return messages


def count_characters(message: PageMessage) -> int:
    """Return the approximate length of a message in JSON, without the contents of files."""
    reply = message.reply
    words = len(reply.text) + len(reply.note) + len(reply.request_summary)
    made = reply.made_files
    described = sum(len(file.alt) + len(file.name) for file in made)
    return _FIXED_CHARACTERS * (1 + len(made) + len(reply.files)) + words + described


def without_file_contents(message: PageMessage) -> PageMessage:
    """Return the message with the names of the files alone: a window shows no more, and a download reads the row."""
    if not message.reply.files:
        return message
    files = tuple(replace(file, text="") for file in message.reply.files)
    return replace(message, reply=replace(message.reply, files=files))


def _message_from_row(row: sa.Row[Any]) -> PageMessage:
    fields = {name: getattr(row, name) for name in PageMessage.__slots__}
    return PageMessage(**fields | {"reply": reply_from_json(row.reply)})


def reply_to_json(reply: Reply) -> dict[str, Any]:
    """Convert a reply to plain JSON by field names, the inverse of `reply_from_json`."""
    # An unfinished picture lives in memory alone.
    fields = asdict(replace(reply, preview=None))
    del fields["preview"]
    return fields


def reply_from_json(kept: dict[str, Any]) -> Reply:
    """Convert the JSON of `reply_to_json` back to a reply. A field added since takes the default."""
    progress = kept.get("progress")
    return Reply(
        **kept
        | {
            # Pictures of older rows have no numbers: the place was the number.
            "pictures": tuple(Picture(**{"n": n} | picture) for n, picture in enumerate(kept.get("pictures", ()), 1)),
            "progress": Progress(**progress | {"stage": Stage(progress["stage"])}) if progress else None,
            "buttons": tuple(Button(**button) for button in kept.get("buttons", ())),
            "files": tuple(TextFile(**file) for file in kept.get("files", ())),
            "result_files": tuple(ResultFile(**file) for file in kept.get("result_files", ())),
            "tone": Tone(kept.get("tone", Tone.PLAIN)),
        }
    )
