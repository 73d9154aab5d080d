"""The audit: who changed or refused what."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from bot.core.json import JSON
from bot.storage.statements import Statements
from bot.storage.tables.moderation import audit

_ADD = sa.insert(audit)


class SqlAuditStore:
    """Implements `core.storage.AuditStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, actor: str, action: str, facts: Mapping[str, JSON], at: datetime) -> None:
        await self._run(_ADD, {"actor": actor, "action": action, "facts": dict(facts), "at": at})
