"""Stores the heartbeats of worker processes and the ids of received webhooks."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.storage.connection import Statements
from bot.storage.tables.jobs import inbox, workers

_insert = insert(workers)
_BEAT = _insert.on_conflict_do_update(index_elements=["id"], set_={"beat_at": _insert.excluded.beat_at})
_ALIVE = sa.select(workers.c.id).where(workers.c.beat_at > bindparam("since")).order_by(workers.c.id)
_LEAVE = sa.delete(workers).where(workers.c.id == bindparam("worker"))


class WorkerStore:
    """One heartbeat row for each living process."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def record_heartbeat(self, worker: str, at: datetime) -> None:
        await self._run(_BEAT, {"id": worker, "beat_at": at})

    async def list_alive(self, since: datetime) -> list[str]:
        """The ids of those who beat after `since`, in their order."""
        return [row.id for row in await self._run(_ALIVE, {"since": since})]

    async def remove(self, worker: str) -> None:
        await self._run(_LEAVE, {"worker": worker})


_ADD_NOTICE = insert(inbox).on_conflict_do_nothing()
_FORGET_NOTICES = sa.delete(inbox).where(inbox.c.received_at < bindparam("before"))


class InboxStore:
    """Notices of backends that came in, so that a repeated one does nothing."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, notice_id: str, job_id: str, at: datetime) -> bool:
        """False when it was there already."""
        added = await self._run(_ADD_NOTICE, {"id": notice_id, "job": job_id, "received_at": at})
        return added.rowcount == 1

    async def delete_before(self, received_before: datetime) -> int:
        return (await self._run(_FORGET_NOTICES, {"before": received_before})).rowcount
