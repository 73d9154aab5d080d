"""Stores refused words, pauses and the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.json import JSON
from bot.storage.connection import Statements
from bot.storage.tables.people import audit, pauses, refused_words

_WORDS = (
    sa.select(refused_words.c.word)
    .distinct()
    .where(
        refused_words.c.platform.in_([bindparam("of_platform"), ""]),
        refused_words.c.workspace.in_([bindparam("of_workspace"), ""]),
    )
    .order_by(refused_words.c.word)
)
_ADD_WORD = insert(refused_words).on_conflict_do_nothing()
_REMOVE_WORD = sa.delete(refused_words).where(
    refused_words.c.platform == bindparam("of_platform"),
    refused_words.c.workspace == bindparam("of_workspace"),
    refused_words.c.word == bindparam("of_word"),
)
_PAUSES = sa.select(pauses.c.what, pauses.c.reason).order_by(pauses.c.what)
_insert_pause = insert(pauses)
_PAUSE = _insert_pause.on_conflict_do_update(
    index_elements=["what"], set_={name: _insert_pause.excluded[name] for name in ("reason", "by")}
)
_GO_ON = sa.delete(pauses).where(pauses.c.what == bindparam("paused"))


class ModerationStore:
    """Refused words and pauses."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def list_words(self, platform: str, workspace: str) -> list[str]:
        """Refused words of a workspace and of the whole bot."""
        rows = await self._run(_WORDS, {"of_platform": platform, "of_workspace": workspace})
        return [row.word for row in rows]

    async def add_word(self, platform: str, workspace: str, word: str, by: str) -> bool:
        """False when it was there already."""
        row = {"platform": platform, "workspace": workspace, "word": word, "by": by}
        return (await self._run(_ADD_WORD, row)).rowcount == 1

    async def remove_word(self, platform: str, workspace: str, word: str) -> bool:
        """False when it was not there."""
        row = {"of_platform": platform, "of_workspace": workspace, "of_word": word}
        return (await self._run(_REMOVE_WORD, row)).rowcount == 1

    async def list_pauses(self) -> dict[str, str]:
        """What is paused (`all`, `platform:web`, `model:sdxl`) and why."""
        return {row.what: row.reason for row in await self._run(_PAUSES)}

    async def set_pause(self, what: str, reason: str | None, by: str) -> None:
        """A reason of None ends a pause."""
        if reason is None:
            await self._run(_GO_ON, {"paused": what})
        else:
            await self._run(_PAUSE, {"what": what, "reason": reason, "by": by})


_ADD_AUDIT = sa.insert(audit)
_AUDIT_OF = (
    sa.select(audit)
    .where(
        audit.c.platform == bindparam("of_platform"),
        audit.c.workspace == bindparam("of_workspace"),
        sa.or_(bindparam("of_actor") == "", audit.c.actor == bindparam("of_actor")),
        audit.c.action >= bindparam("first"),
        # "~" sorts behind every character of an action, and actions are compared byte by byte.
        audit.c.action < bindparam("first").concat("~"),
    )
    .order_by(audit.c.at.desc(), audit.c.id.desc())
    .limit(bindparam("most"))
)
_FORGET_AUDIT = sa.delete(audit).where(audit.c.at < bindparam("before"))


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit. `actor` is who, as `platform:workspace:id`, or a part of the bot."""

    actor: str
    action: str
    facts: Mapping[str, JSON]
    at: datetime


class AuditStore:
    """Who changed or refused what."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(
        self, actor: str, action: str, facts: Mapping[str, JSON], at: datetime, about: tuple[str, str] | None = None
    ) -> None:
        """`about` is the workspace it concerns, as (platform, id): the actor's own when nothing is said."""
        platform, workspace = about or _home(actor)
        row = {"platform": platform, "workspace": workspace, "actor": actor, "action": action}
        await self._run(_ADD_AUDIT, {**row, "facts": dict(facts), "at": at})

    async def list_rows(
        self, platform: str, workspace: str, limit: int, *, actor: str = "", kind: str = ""
    ) -> list[AuditRow]:
        """What concerns a workspace, newest first: of one actor, of actions that begin with `kind`."""
        facts = {"of_platform": platform, "of_workspace": workspace, "of_actor": actor, "first": kind, "most": limit}
        return [AuditRow(row.actor, row.action, row.facts, row.at) for row in await self._run(_AUDIT_OF, facts)]

    async def delete_before(self, before: datetime) -> int:
        return (await self._run(_FORGET_AUDIT, {"before": before})).rowcount


def _home(actor: str) -> tuple[str, str]:
    """The workspace of a person who is written as `platform:workspace:id`; a part of the bot has none."""
    platform, _, rest = actor.partition(":")
    workspace, colon, _ = rest.partition(":")
    return (platform, workspace) if colon else ("", "")
