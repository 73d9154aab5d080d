"""How often somebody may do something: one row and one conditional upsert, on both engines.

The generic cell rate algorithm: `free_at` is when everything let through so far is paid off, at one per interval. Who
is less than a minute ahead of the clock may go on, so that a minute's worth may also come at once.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.storage.statements import Statements
from bot.storage.tables.people import rate_limits

WINDOW_SECONDS = 60.0

_now = bindparam("now", type_=sa.Float)
_interval = bindparam("interval", type_=sa.Float)
_insert = insert(rate_limits).values(key=bindparam("of_key"), free_at=_now + _interval)
# Nobody is ever further ahead than a window: such a row was written before the clock jumped back, and means nothing.
_is_stale = sa.or_(rate_limits.c.free_at < _now, rate_limits.c.free_at > _now + WINDOW_SECONDS + 1)
_TAKE = _insert.on_conflict_do_update(
    index_elements=["key"],
    set_={"free_at": sa.case((_is_stale, _now), else_=rate_limits.c.free_at) + _interval},
    where=sa.or_(_is_stale, rate_limits.c.free_at <= _now + WINDOW_SECONDS - _interval + 1e-6),
)
_FREE_AT = sa.select(rate_limits.c.free_at).where(rate_limits.c.key == bindparam("of_key"))


class SqlRateStore:
    """Implements `core.storage.RateStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def take(self, key: str, per_minute: int, at: datetime) -> float:
        now, interval = at.timestamp(), WINDOW_SECONDS / per_minute
        if (await self._run(_TAKE, {"of_key": key, "now": now, "interval": interval})).rowcount:
            return 0.0
        free_at = float((await self._run(_FREE_AT, {"of_key": key})).scalar_one())
        return max(free_at - (now + WINDOW_SECONDS - interval), 0.001)
