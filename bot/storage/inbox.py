"""The inbox: which notices of backends came in, each once."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.storage.statements import Statements
from bot.storage.tables.work import inbox

_ADD = insert(inbox).on_conflict_do_nothing()
_FORGET = sa.delete(inbox).where(inbox.c.received_at < bindparam("before"))


class SqlInboxStore:
    """Implements `core.storage.InboxStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, notice_id: str, job_id: str, at: datetime) -> bool:
        added = await self._run(_ADD, {"id": notice_id, "job": job_id, "received_at": at})
        return added.rowcount == 1

    async def forget(self, received_before: datetime) -> int:
        return (await self._run(_FORGET, {"before": received_before})).rowcount
