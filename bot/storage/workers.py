"""Stores the heartbeats of worker processes and the ids of received webhooks."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.storage.connection import Statements
from bot.storage.tables.jobs import inbox, workers

_insert = insert(workers)
_UPSERT = _insert.on_conflict_do_update(index_elements=["id"], set_={"beat_at": _insert.excluded.beat_at})
_SELECT_ALIVE = sa.select(workers.c.id).where(workers.c.beat_at > bindparam("since")).order_by(workers.c.id)
_DELETE = sa.delete(workers).where(workers.c.id == bindparam("worker"))


class WorkerStore:
    """Reads and writes one heartbeat row for each living process."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def record_heartbeat(self, worker: str, at: datetime) -> None:
        """Store the time of a worker's latest heartbeat."""
        await self._run(_UPSERT, {"id": worker, "beat_at": at})

    async def list_alive(self, since: datetime) -> list[str]:
        """List the ids of workers with a heartbeat after a time, sorted."""
        return [row.id for row in await self._run(_SELECT_ALIVE, {"since": since})]

    async def remove(self, worker: str) -> None:
        """Delete the row of a stopping worker."""
        await self._run(_DELETE, {"worker": worker})


_INSERT_WEBHOOK = insert(inbox).on_conflict_do_nothing()
_DELETE_WEBHOOKS = sa.delete(inbox).where(inbox.c.received_at < bindparam("before"))


class InboxStore:
    """Remembers received webhooks: a repeated webhook has no effect."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, webhook_id: str, job_id: str, at: datetime) -> bool:
        """Store a webhook's id. Returns whether the webhook is new."""
        added = await self._run(_INSERT_WEBHOOK, {"id": webhook_id, "job": job_id, "received_at": at})
        return added.rowcount == 1

    async def delete_before(self, received_before: datetime) -> int:
        """Delete the webhooks received before a time. Returns the number of webhooks."""
        return (await self._run(_DELETE_WEBHOOKS, {"before": received_before})).rowcount
