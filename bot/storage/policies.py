"""Stores limits and settings changed at run time, and rate limits."""

from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.json import JSON
from bot.storage.connection import Statements
from bot.storage.tables.people import policies, rate_limits

_NAME = ("platform", "workspace", "scope", "scope_id", "key")
_OF = (
    sa.select(policies)
    .where(
        sa.or_(
            sa.and_(policies.c.platform == bindparam("of_platform"), policies.c.workspace == bindparam("of_workspace")),
            sa.and_(policies.c.platform == "", policies.c.workspace == ""),
        )
    )
    .order_by(*(policies.c[name] for name in _NAME))
)
_NAMED = sa.select(policies).where(policies.c.key == bindparam("of_key")).order_by(*(policies.c[n] for n in _NAME))
_insert = insert(policies)
_PUT = _insert.on_conflict_do_update(
    index_elements=_NAME, set_={name: _insert.excluded[name] for name in ("value", "by", "at")}
)
_REMOVE = sa.delete(policies).where(*(policies.c[name] == bindparam(f"of_{name}") for name in _NAME))


@dataclass(frozen=True, slots=True)
class Policy:
    """One limit or setting that somebody set. `scope`: `bot`, `workspace`, `channel`, `role` or `user`."""

    platform: str
    workspace: str
    scope: str
    scope_id: str
    key: str
    value: JSON
    by: str
    at: datetime


class PolicyStore:
    """Limits and settings changed while running."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def list_policies(self, platform: str, workspace: str) -> list[Policy]:
        """Policies of a workspace and those of the whole bot (empty platform and workspace)."""
        rows = await self._run(_OF, {"of_platform": platform, "of_workspace": workspace})
        return [Policy(**row._mapping) for row in rows]

    async def put(self, policy: Policy) -> None:
        await self._run(_PUT, asdict(policy))

    async def list_by_key(self, key: str) -> list[Policy]:
        """Policies of that key, wherever they are set."""
        return [Policy(**row._mapping) for row in await self._run(_NAMED, {"of_key": key})]

    async def remove(self, platform: str, workspace: str, scope: str, scope_id: str, key: str) -> bool:
        name = (platform, workspace, scope, scope_id, key)
        named = {f"of_{part}": value for part, value in zip(_NAME, name, strict=True)}
        return (await self._run(_REMOVE, named)).rowcount == 1


WINDOW_SECONDS = 60.0

_now = bindparam("now", type_=sa.Float)
_interval = bindparam("interval", type_=sa.Float)
_insert_rate = insert(rate_limits).values(key=bindparam("of_key"), free_at=_now + _interval)
# Nobody is ever further ahead than a window: such a row was written before the clock jumped back, and means nothing.
_is_stale = sa.or_(rate_limits.c.free_at < _now, rate_limits.c.free_at > _now + WINDOW_SECONDS + 1)
_TAKE = _insert_rate.on_conflict_do_update(
    index_elements=["key"],
    set_={"free_at": sa.case((_is_stale, _now), else_=rate_limits.c.free_at) + _interval},
    where=sa.or_(_is_stale, rate_limits.c.free_at <= _now + WINDOW_SECONDS - _interval + 1e-6),
)
_FREE_AT = sa.select(rate_limits.c.free_at).where(rate_limits.c.key == bindparam("of_key"))


class RateStore:
    """How often somebody may do something."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def take(self, key: str, per_minute: int, at: datetime) -> float:
        """Let one through where no more than `per_minute` come in any minute: 0, or seconds until the next may."""
        now, interval = at.timestamp(), WINDOW_SECONDS / per_minute
        if (await self._run(_TAKE, {"of_key": key, "now": now, "interval": interval})).rowcount:
            return 0.0
        free_at = float((await self._run(_FREE_AT, {"of_key": key})).scalar_one())
        return max(free_at - (now + WINDOW_SECONDS - interval), 0.001)
