"""Stores refused words, pauses and the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.json import JSON
from bot.core.people import Actor
from bot.storage.connection import Statements
from bot.storage.tables.people import audit, pauses, refused_words

_SELECT_WORDS = (
    sa.select(refused_words.c.word)
    .distinct()
    .where(
        # Rows with empty platform and workspace hold for the whole bot.
        refused_words.c.platform.in_([bindparam("of_platform"), ""]),
        refused_words.c.workspace.in_([bindparam("of_workspace"), ""]),
    )
    .order_by(refused_words.c.word)
)
_INSERT_WORD = insert(refused_words).on_conflict_do_nothing()
_DELETE_WORD = sa.delete(refused_words).where(
    refused_words.c.platform == bindparam("of_platform"),
    refused_words.c.workspace == bindparam("of_workspace"),
    refused_words.c.word == bindparam("of_word"),
)

# Pauses.


class PauseKind(StrEnum):
    """The kind of work that a pause stops."""

    ALL = "all"
    PLATFORM = "platform"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class PauseTarget:
    """The subject of a pause: a platform or a model by name, or everything, without a name."""

    kind: PauseKind
    name: str = ""


def format_pause_target(target: PauseTarget) -> str:
    """Give the stored text of a target: `all`, `platform:web`, `model:sdxl`."""
    return f"{target.kind}:{target.name}" if target.name else target.kind.value


def _parse_pause_target(text: str) -> PauseTarget:
    kind, _, name = text.partition(":")
    return PauseTarget(PauseKind(kind), name)


_SELECT_PAUSES = sa.select(pauses.c.target, pauses.c.reason).order_by(pauses.c.target)
_insert_pause = insert(pauses)
_UPSERT_PAUSE = _insert_pause.on_conflict_do_update(
    index_elements=["target"], set_={name: _insert_pause.excluded[name] for name in ("reason", "by")}
)
_DELETE_PAUSE = sa.delete(pauses).where(pauses.c.target == bindparam("of_target"))


class ModerationStore:
    """Reads and writes refused words and pauses."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def list_words(self, platform: str, workspace: str) -> list[str]:
        """List the refused words of a workspace and of the whole bot."""
        rows = await self._run(_SELECT_WORDS, {"of_platform": platform, "of_workspace": workspace})
        return [row.word for row in rows]

    async def add_word(self, platform: str, workspace: str, word: str, by: str) -> bool:
        """Add a refused word. Returns whether the word is new."""
        row = {"platform": platform, "workspace": workspace, "word": word, "by": by}
        return (await self._run(_INSERT_WORD, row)).rowcount == 1

    async def remove_word(self, platform: str, workspace: str, word: str) -> bool:
        """Delete a refused word. Returns whether the word was stored."""
        row = {"of_platform": platform, "of_workspace": workspace, "of_word": word}
        return (await self._run(_DELETE_WORD, row)).rowcount == 1

    async def list_pauses(self) -> dict[PauseTarget, str]:
        """Give the reason of each pause by the pause's target."""
        return {_parse_pause_target(row.target): row.reason for row in await self._run(_SELECT_PAUSES)}

    async def set_pause(self, target: PauseTarget, reason: str | None, by: str) -> None:
        """Pause a target, or end the pause if the reason is None."""
        if reason is None:
            await self._run(_DELETE_PAUSE, {"of_target": format_pause_target(target)})
        else:
            await self._run(_UPSERT_PAUSE, {"target": format_pause_target(target), "reason": reason, "by": by})


_INSERT_AUDIT = sa.insert(audit)
_SELECT_AUDIT = (
    sa.select(audit)
    .where(
        audit.c.platform == bindparam("of_platform"),
        audit.c.workspace == bindparam("of_workspace"),
        # A prefix search: "~" sorts after every character of an action, and actions are compared byte by byte.
        audit.c.action >= bindparam("prefix"),
        audit.c.action < bindparam("prefix").concat("~"),
    )
    .order_by(audit.c.at.desc(), audit.c.id.desc())
    .limit(bindparam("most"))
)
# Two statements: a condition that may be left out keeps a database from the index.
_SELECT_AUDIT_OF_ACTOR = _SELECT_AUDIT.where(audit.c.actor == bindparam("of_actor"))
_DELETE_AUDIT = sa.delete(audit).where(audit.c.at < bindparam("before"))


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit log."""

    actor: Actor
    action: str
    facts: Mapping[str, JSON]
    at: datetime


class AuditStore:
    """Reads and writes the audit log: changes and refusals, with their actors."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(
        self, actor: Actor, action: str, facts: Mapping[str, JSON], at: datetime, about: tuple[str, str] | None = None
    ) -> None:
        """Add a line. `about` is the concerned (platform, workspace); by default the actor's own."""
        platform, workspace = about or (actor.platform, actor.workspace)
        row = {"platform": platform, "workspace": workspace, "actor": actor, "action": action}
        await self._run(_INSERT_AUDIT, {**row, "facts": dict(facts), "at": at})

    async def list_rows(
        self, platform: str, workspace: str, limit: int, *, actor: Actor | None = None, kind: str = ""
    ) -> list[AuditRow]:
        """List the lines of a workspace, newest first: of one actor if given, and with actions of a prefix `kind`."""
        facts = {"of_platform": platform, "of_workspace": workspace, "prefix": kind, "most": limit}
        if actor is not None:
            rows = await self._run(_SELECT_AUDIT_OF_ACTOR, {**facts, "of_actor": actor})
        else:
            rows = await self._run(_SELECT_AUDIT, facts)
        return [AuditRow(row.actor, row.action, row.facts, row.at) for row in rows]

    async def delete_before(self, before: datetime) -> int:
        """Delete the lines older than a time. Returns the number of lines."""
        return (await self._run(_DELETE_AUDIT, {"before": before})).rowcount
