"""The audit: who changed or refused what."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam

from bot.core.json import JSON
from bot.core.storage import AuditRow
from bot.storage.statements import Statements
from bot.storage.tables.moderation import audit

_ADD = sa.insert(audit)
_OF = (
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
_FORGET = sa.delete(audit).where(audit.c.at < bindparam("before"))


class SqlAuditStore:
    """Implements `core.storage.AuditStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(
        self, actor: str, action: str, facts: Mapping[str, JSON], at: datetime, about: tuple[str, str] | None = None
    ) -> None:
        platform, workspace = about or _home(actor)
        row = {"platform": platform, "workspace": workspace, "actor": actor, "action": action}
        await self._run(_ADD, {**row, "facts": dict(facts), "at": at})

    async def of(self, platform: str, workspace: str, limit: int, *, actor: str = "", kind: str = "") -> list[AuditRow]:
        facts = {"of_platform": platform, "of_workspace": workspace, "of_actor": actor, "first": kind, "most": limit}
        return [AuditRow(row.actor, row.action, row.facts, row.at) for row in await self._run(_OF, facts)]

    async def forget(self, before: datetime) -> int:
        return (await self._run(_FORGET, {"before": before})).rowcount


def _home(actor: str) -> tuple[str, str]:
    """The workspace of a person who is written as `platform:workspace:id`; a part of the bot has none."""
    platform, _, rest = actor.partition(":")
    workspace, colon, _ = rest.partition(":")
    return (platform, workspace) if colon else ("", "")
