"""Stores policies (limits and settings changed at run time) and rate limits."""

from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.json import JSON
from bot.core.people import Actor, User
from bot.storage.connection import Statements
from bot.storage.jobs import OPEN_COUNTS, bind_user
from bot.storage.tables.people import policies, rate_limits

_KEY = ("platform", "workspace", "scope", "scope_id", "key")
_ORDER = tuple(policies.c[name] for name in _KEY)
_SELECT_BY_WORKSPACE = (
    sa.select(policies)
    .where(
        sa.or_(
            sa.and_(policies.c.platform == bindparam("of_platform"), policies.c.workspace == bindparam("of_workspace")),
            sa.and_(policies.c.platform == "", policies.c.workspace == ""),
        )
    )
    .order_by(*_ORDER)
)
_SELECT_BY_KEY = sa.select(policies).where(policies.c.key == bindparam("of_key")).order_by(*_ORDER)
_insert = insert(policies)
_UPSERT = _insert.on_conflict_do_update(
    index_elements=_KEY, set_={name: _insert.excluded[name] for name in ("value", "by", "at")}
)
_DELETE = sa.delete(policies).where(*(policies.c[name] == bindparam(f"of_{name}") for name in _KEY))


@dataclass(frozen=True, slots=True)
class Policy:
    """One limit or setting. `scope` is `bot`, `workspace`, `channel`, `role` or `user`; `by` is the changing user."""

    platform: str
    workspace: str
    scope: str
    scope_id: str
    key: str
    value: JSON
    by: Actor
    at: datetime


class PolicyStore:
    """Reads and writes policies."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def list_policies(self, platform: str, workspace: str) -> list[Policy]:
        """List the policies of a workspace and of the whole bot (empty platform and workspace)."""
        rows = await self._run(_SELECT_BY_WORKSPACE, {"of_platform": platform, "of_workspace": workspace})
        return [Policy(**row._mapping) for row in rows]

    async def put(self, policy: Policy) -> None:
        """Insert a policy, or replace value, author and time."""
        await self._run(_UPSERT, asdict(policy) | {"by": policy.by})

    async def list_by_key(self, key: str) -> list[Policy]:
        """List the policies of a key in all workspaces and scopes."""
        return [Policy(**row._mapping) for row in await self._run(_SELECT_BY_KEY, {"of_key": key})]

    async def remove(self, platform: str, workspace: str, scope: str, scope_id: str, key: str) -> bool:
        """Delete a policy. Returns whether the policy was stored."""
        values = (platform, workspace, scope, scope_id, key)
        facts = {f"of_{name}": value for name, value in zip(_KEY, values, strict=True)}
        return (await self._run(_DELETE, facts)).rowcount == 1


WINDOW_SECONDS = 60.0

# The generic cell rate algorithm, as one conditional upsert. `free_at` is the time at which all admitted actions are
# paid off at one per interval. An action is admitted while `free_at` is less than one window ahead of the clock: a
# whole minute's actions may also come at once.
_now = bindparam("now", type_=sa.Float)
_interval = bindparam("interval", type_=sa.Float)
_insert_rate = insert(rate_limits).values(key=bindparam("of_key"), free_at=_now + _interval)
# `free_at` further ahead than one window means the clock was set back: ignore the row.
_is_stale = sa.or_(rate_limits.c.free_at < _now, rate_limits.c.free_at > _now + WINDOW_SECONDS + 1)
_TAKE = _insert_rate.on_conflict_do_update(
    index_elements=["key"],
    set_={"free_at": sa.case((_is_stale, _now), else_=rate_limits.c.free_at) + _interval},
    # 1e-6 covers rounding: sums of intervals are not exact in floating point.
    where=sa.or_(_is_stale, rate_limits.c.free_at <= _now + WINDOW_SECONDS - _interval + 1e-6),
)
_TAKE_FOR_JOB = _TAKE.returning(*OPEN_COUNTS)
_SELECT_FREE_AT = sa.select(rate_limits.c.free_at).where(rate_limits.c.key == bindparam("of_key"))


class RateStore:
    """Limits the actions per minute of each key, across all processes of one database."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def take(self, key: str, per_minute: int, at: datetime) -> float:
        """Admit an action if the last minute had fewer than `per_minute`. Returns 0, or the seconds until the next."""
        now, interval = at.timestamp(), WINDOW_SECONDS / per_minute
        if (await self._run(_TAKE, {"of_key": key, "now": now, "interval": interval})).rowcount:
            return 0.0
        return await self._get_wait_seconds(key, now, interval)

    async def take_for_job(
        self, key: str, per_minute: int, at: datetime, user: User
    ) -> tuple[float, tuple[int, int] | None]:
        """Admit a job as `take` does; return the seconds, and for an admitted job the counts of `JobStore.count_open`.

        One statement does both: each ask runs it.
        """
        now, interval = at.timestamp(), WINDOW_SECONDS / per_minute
        facts = {"of_key": key, "now": now, "interval": interval, **bind_user(user)}
        if (counts := (await self._run(_TAKE_FOR_JOB, facts)).first()) is not None:
            return 0.0, (counts[0], counts[1])
        return await self._get_wait_seconds(key, now, interval), None

    async def _get_wait_seconds(self, key: str, now: float, interval: float) -> float:
        free_at = float((await self._run(_SELECT_FREE_AT, {"of_key": key})).scalar_one())
        # Never zero: zero means admitted.
        return max(free_at - (now + WINDOW_SECONDS - interval), 0.001)
