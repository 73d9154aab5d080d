"""Jobs: added once for each ask, moved by compare-and-set, claimed from the dead."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, Unpack

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.errors import DuplicatePress, DuplicateRequest
from bot.core.jobs import Job, JobState
from bot.core.people import User
from bot.storage.connection import Rows, Statements
from bot.storage.job_rows import JobChanges, format_step, job_from_row, row_from_job
from bot.storage.tables.jobs import IS_OPEN, IS_WAITED_FOR, jobs, outputs, workers

_ADD = insert(jobs).on_conflict_do_nothing()
_ALL = sa.select(jobs)
_GET = _ALL.where(jobs.c.id == bindparam("job"))
_STEPS = sa.select(jobs.c.steps).where(jobs.c.id == bindparam("job"))
_ASKED = _ALL.where(jobs.c.request_key == bindparam("request_key"))
# "~" sorts behind every character of an id, and ids are compared byte by byte.
_FIND = _ALL.where(jobs.c.id >= bindparam("first"), jobs.c.id < bindparam("first").concat("~")).limit(2)

_NEWEST = (jobs.c.created_at.desc(), jobs.c.id.desc())
_OF_USER = _ALL.where(
    jobs.c.platform == bindparam("platform"),
    jobs.c.user_workspace == bindparam("workspace"),
    jobs.c.user == bindparam("user"),
).order_by(*_NEWEST)
_OPEN_OF = _OF_USER.where(sa.text(IS_OPEN))
_RECENT_OF = _OF_USER.limit(bindparam("most"))
_RECENT_IN = (
    _ALL.where(
        jobs.c.platform == bindparam("platform"),
        jobs.c.workspace == bindparam("workspace"),
        jobs.c.channel == bindparam("channel"),
    )
    .order_by(*_NEWEST)
    .limit(bindparam("most"))
)
_OPEN_IN = (
    _ALL.where(
        jobs.c.platform == bindparam("platform"), jobs.c.user_workspace == bindparam("workspace"), sa.text(IS_OPEN)
    )
    .order_by(jobs.c.created_at, jobs.c.id)
    .limit(bindparam("most"))
)
_COUNT_OPEN_OF = (
    sa.select(sa.func.count())
    .select_from(jobs)
    .where(
        sa.text(IS_OPEN),
        jobs.c.platform == bindparam("platform"),
        jobs.c.user_workspace == bindparam("workspace"),
        jobs.c.user == bindparam("user"),
    )
)
_ASKED_IN = (
    _ALL.where(
        jobs.c.platform == bindparam("platform"),
        jobs.c.user_workspace == bindparam("workspace"),
        jobs.c.created_at >= bindparam("since"),
        jobs.c.created_at < bindparam("until"),
    )
    .order_by(*_NEWEST)
    .limit(bindparam("most"))
)

_made = outputs.c.prediction == jobs.c.prediction
_FINISHED_ALIKE = (
    _ALL.where(
        jobs.c.platform == bindparam("platform"),
        jobs.c.workspace == bindparam("workspace"),
        jobs.c.reuse_key == bindparam("reuse_key"),
        sa.text("reuse_key <> ''"),
        jobs.c.state.in_([state.value for state in (JobState.FINISHED, JobState.DELIVERED, JobState.UNDELIVERABLE)]),
        jobs.c.forgotten_at.is_(None),
        sa.exists().where(_made),
        ~sa.exists().where(_made, outputs.c.is_flagged),
    )
    .order_by(*_NEWEST)
    .limit(1)
)

_ASK_CANCEL = (
    sa.update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.cancel_by == "", sa.text(IS_OPEN))
    .values(cancel_by=bindparam("by"), updated_at=bindparam("at"))
)
_LET_GO = (
    sa.update(jobs)
    .where(jobs.c.owner == bindparam("me"), sa.text(IS_WAITED_FOR))
    .values(owner="", updated_at=bindparam("at"))
)

_IS_ALIVE = sa.exists().where(workers.c.id == jobs.c.owner, workers.c.beat_at > bindparam("dead_before"))
_WAITED_FOR = (
    sa.select(jobs.c.id).where(jobs.c.owner == bindparam("me"), sa.text(IS_WAITED_FOR)).order_by(jobs.c.created_at)
)
_UNWANTED = sa.select(jobs.c.id).where(jobs.c.owner == bindparam("me"), jobs.c.cancel_by != "", sa.text(IS_OPEN))
_DEAD_OWNERS = (
    sa.select(jobs.c.owner).distinct().where(sa.text(IS_WAITED_FOR), jobs.c.owner != bindparam("me"), ~_IS_ALIVE)
)
# Asks about the job's own row alone. Where another claimer commits meanwhile, PostgreSQL repeats the question for the
# row as it is now, but not for the workers joined to it: with NOT EXISTS in here, two claimers got the same jobs.
_ORPHANS = (
    sa.select(jobs.c.id)
    .where(
        sa.text(IS_WAITED_FOR),
        jobs.c.owner.in_(bindparam("dead", expanding=True)),
        sa.or_(bindparam("all_platforms", type_=sa.Boolean), jobs.c.platform.in_(bindparam("served", expanding=True))),
    )
    .order_by(jobs.c.queue_time.asc().nulls_last(), jobs.c.created_at)
    .limit(bindparam("most"))
    .with_for_update(of=jobs, skip_locked=True)  # two claimers never meet; SQLite has one writer and needs none
    .cte("orphans")
)
_CLAIM = (
    sa.update(jobs)
    .where(jobs.c.id.in_(sa.select(_ORPHANS.c.id)))
    .values(owner=bindparam("new_owner"), epoch=jobs.c.epoch + 1, updated_at=bindparam("at"))
    .returning(jobs)
)


class JobStore:
    """Jobs, each arrow of their life a compare-and-set."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, job: Job) -> None:
        """Nothing is written on a conflict, and the transaction stays usable on both engines."""
        if (await self._run(_ADD, row_from_job(job))).rowcount:
            return
        # A platform that delivers a press twice repeats both keys: that is the same ask.
        if await self.get_by_request_key(job.request_key):
            raise DuplicateRequest(job.request_key)
        raise DuplicatePress(job.press_key)

    async def get(self, job_id: str) -> Job | None:
        return _one(await self._run(_GET, {"job": job_id}))

    async def find(self, prefix: str) -> Job | None:
        """The one job whose id begins so; None where none or several do."""
        if not prefix:
            return None
        found = _many(await self._run(_FIND, {"first": prefix}))
        return found[0] if len(found) == 1 else None

    async def get_by_request_key(self, request_key: str) -> Job | None:
        return _one(await self._run(_ASKED, {"request_key": request_key}))

    async def move(self, job: Job, to: JobState, at: datetime, **changes: Unpack[JobChanges]) -> Job | None:
        """Compare-and-set on (id, state, owner, epoch) of `job`. The job as it is now; None when no longer ours."""
        where = {"job": job.id, "was": job.state.value, "me": job.owner, "my_epoch": job.epoch}
        values = {f"new_{name}": value for name, value in changes.items()}
        statement = _move(tuple(sorted(changes)))
        step = format_step(to, at) if to is not job.state else ""
        moved = (await self._run(statement, {**where, **values, "to": to.value, "at": at, "step": step})).first()
        # Whoever asks to cancel needs no ownership, so that column alone may have changed behind our back.
        return replace(job, state=to, updated_at=at, cancel_by=moved.cancel_by, **changes) if moved else None

    async def list_steps(self, job_id: str) -> list[tuple[JobState, datetime]]:
        """The states a job has been in and when each was reached, in order; empty for an unknown job."""
        lines: str = (await self._run(_STEPS, {"job": job_id})).scalar_one_or_none() or ""
        steps = [line.split() for line in lines.splitlines()]
        return [(JobState(state), datetime.fromisoformat(at)) for state, at in steps]

    async def request_cancel(self, job_id: str, by: str, at: datetime) -> bool:
        """Note who wants an open job cancelled. False when it is not open or already asked."""
        return (await self._run(_ASK_CANCEL, {"job": job_id, "by": by, "at": at})).rowcount == 1

    async def list_open(self, user: User) -> list[Job]:
        """The open jobs of a user in their workspace, newest first."""
        return _many(await self._run(_OPEN_OF, _address(user)))

    async def list_recent(self, user: User, limit: int) -> list[Job]:
        """Jobs of a user in their workspace in any state, newest first."""
        return _many(await self._run(_RECENT_OF, {**_address(user), "most": limit}))

    async def list_recent_in_channel(self, platform: str, workspace: str, channel: str, limit: int) -> list[Job]:
        """Jobs asked in one channel in any state, newest first."""
        place = {"platform": platform, "workspace": workspace, "channel": channel}
        return _many(await self._run(_RECENT_IN, {**place, "most": limit}))

    async def unfinished(self, owner: str) -> list[str]:
        """The ids of an owner's jobs that someone still waits for, oldest first."""
        return [row.id for row in await self._run(_WAITED_FOR, {"me": owner})]

    async def cancel_requested(self, owner: str) -> list[str]:
        """The ids of an owner's open jobs that somebody asked to stop."""
        return [row.id for row in await self._run(_UNWANTED, {"me": owner})]

    async def claim(
        self, owner: str, dead_before: datetime, at: datetime, limit: int, platforms: Sequence[str] | None = None
    ) -> list[Job]:
        """Take over jobs that someone waits for from owners not alive (no beat since `dead_before`): epoch raised.

        In the order of their turns; those that never stood in line come last, oldest first.

        On PostgreSQL with FOR UPDATE SKIP LOCKED. Jobs already of this owner are not among them.
        """
        dead = [row.owner for row in await self._run(_DEAD_OWNERS, {"me": owner, "dead_before": dead_before})]
        if not dead:
            return []
        facts: dict[str, Any] = {"dead": dead, "new_owner": owner, "at": at, "most": limit}
        facts |= {"all_platforms": platforms is None, "served": list(platforms or ())}
        return sorted(_many(await self._run(_CLAIM, facts)), key=_in_line)

    async def release_owner(self, owner: str, at: datetime) -> int:
        """At a clean stop: open jobs of this owner get no owner, so that the next takes them at once."""
        return (await self._run(_LET_GO, {"me": owner, "at": at})).rowcount

    async def find_reusable(self, job: Job) -> Job | None:
        """The latest finished job of an identical request in the same workspace: what it made is kept and unflagged."""
        place = {"platform": job.channel.platform, "workspace": job.channel.workspace}
        return _one(await self._run(_FINISHED_ALIKE, {**place, "reuse_key": job.reuse_key}))

    async def count_open_for_user(self, user: User) -> int:
        """How many jobs of a user in their workspace are open."""
        return int((await self._run(_COUNT_OPEN_OF, _address(user))).scalar_one())

    async def list_open_in_workspace(self, platform: str, workspace: str, limit: int) -> list[Job]:
        """Open jobs of the people of a workspace, oldest first."""
        return _many(await self._run(_OPEN_IN, {"platform": platform, "workspace": workspace, "most": limit}))

    async def list_created_in_workspace(
        self, platform: str, workspace: str, since: datetime, until: datetime, limit: int
    ) -> list[Job]:
        """Jobs that the people of a workspace asked from then until before then, newest first."""
        place = {"platform": platform, "workspace": workspace}
        return _many(await self._run(_ASKED_IN, {**place, "since": since, "until": until, "most": limit}))


@cache
def _move(names: tuple[str, ...]) -> sa.UpdateBase:
    """The compare-and-set that also changes these columns: built once for each set of names."""
    if unknown := set(names) - JobChanges.__annotations__.keys():
        raise TypeError(f"a move cannot change {', '.join(sorted(unknown))}")
    return (
        sa.update(jobs)
        .where(
            jobs.c.id == bindparam("job"),
            jobs.c.state == bindparam("was"),
            jobs.c.owner == bindparam("me"),
            jobs.c.epoch == bindparam("my_epoch"),
        )
        .values(state=bindparam("to"), updated_at=bindparam("at"), steps=jobs.c.steps.concat(bindparam("step")))
        .values({name: bindparam(f"new_{name}") for name in names})
        .returning(jobs.c.cancel_by)
    )


def _in_line(job: Job) -> tuple[bool, float, datetime, str]:
    """Jobs in the order of their turns; those that never stood in line come last, oldest first."""
    return (job.queue_time is None, job.queue_time or 0, job.created_at, job.id)


def _address(user: User) -> dict[str, str]:
    return {"platform": user.platform, "workspace": user.workspace, "user": user.id}


def _one(rows: Rows) -> Job | None:
    row = rows.first()
    return job_from_row(row) if row else None


def _many(rows: Rows) -> list[Job]:
    return [job_from_row(row) for row in rows]
