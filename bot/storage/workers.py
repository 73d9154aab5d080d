"""Workers: one heartbeat row for each living process."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.storage.statements import Statements
from bot.storage.tables.work import workers

_insert = insert(workers)
_BEAT = _insert.on_conflict_do_update(index_elements=["id"], set_={"beat_at": _insert.excluded.beat_at})
_ALIVE = sa.select(workers.c.id).where(workers.c.beat_at > bindparam("since")).order_by(workers.c.id)
_LEAVE = sa.delete(workers).where(workers.c.id == bindparam("worker"))


class SqlWorkerStore:
    """Implements `core.storage.WorkerStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def beat(self, worker: str, at: datetime) -> None:
        await self._run(_BEAT, {"id": worker, "beat_at": at})

    async def alive(self, since: datetime) -> list[str]:
        return [row.id for row in await self._run(_ALIVE, {"since": since})]

    async def leave(self, worker: str) -> None:
        await self._run(_LEAVE, {"worker": worker})
