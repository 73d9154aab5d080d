"""Stores jobs: inserts each request once, changes states by compare-and-set, claims jobs of dead workers.

The heartbeats of workers and the ids of received webhooks stand beside the jobs.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Unpack

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.errors import DuplicatePress, DuplicateRequest
from bot.core.jobs import Job, JobState, JobSummary
from bot.core.people import Channel, User
from bot.storage.connection import Rows, Statements
from bot.storage.job_rows import JobChanges, format_step, job_from_row, row_from_job
from bot.storage.tables.jobs import IS_OPEN, IS_UNFINISHED, inbox, jobs, outputs, workers

_INSERT = insert(jobs).on_conflict_do_nothing()
_SELECT = sa.select(jobs)
_SELECT_BY_ID = _SELECT.where(jobs.c.id == bindparam("job"))
_MOVE_TO_CHANNEL = (
    sa.update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(thread=bindparam("new_thread"), is_reply_chain=bindparam("new_is_reply_chain"))
)
_SELECT_STEPS = sa.select(jobs.c.steps).where(jobs.c.id == bindparam("job"))
_SELECT_BY_REQUEST_KEY = _SELECT.where(jobs.c.request_key == bindparam("request_key"))
_NEWEST_FIRST = (jobs.c.created_at.desc(), jobs.c.id.desc())
_IS_OF_USER = (
    jobs.c.platform == bindparam("platform"),
    jobs.c.user_workspace == bindparam("workspace"),
    jobs.c.user == bindparam("user"),
)
_IS_IN_WORKSPACE = (jobs.c.platform == bindparam("platform"), jobs.c.user_workspace == bindparam("workspace"))
# A prefix search: "~" sorts after every character of an id, and ids are compared byte by byte.
_SELECT_OWN_BY_PREFIX = _SELECT.where(
    *_IS_OF_USER, jobs.c.id >= bindparam("prefix"), jobs.c.id < bindparam("prefix").concat("~")
).limit(2)
_SELECT_OPEN = _SELECT.where(*_IS_OF_USER, sa.text(IS_OPEN)).order_by(*_NEWEST_FIRST)
_SELECT_RECENT = _SELECT.where(*_IS_OF_USER).order_by(*_NEWEST_FIRST).limit(bindparam("most"))
_SELECT_RECENT_IN_CHANNEL = (
    _SELECT.where(
        jobs.c.platform == bindparam("platform"),
        jobs.c.workspace == bindparam("workspace"),
        jobs.c.channel == bindparam("channel"),
    )
    .order_by(*_NEWEST_FIRST)
    .limit(bindparam("most"))
)
# The time bounds the rows that are read: a busy channel has many threads.
_SELECT_RECENT_IN_THREAD = _SELECT_RECENT_IN_CHANNEL.where(
    jobs.c.thread == bindparam("thread"), jobs.c.created_at >= bindparam("since")
)
# Young jobs have their words: the index of these jobs is the only one by time.
_SELECT_USE = (
    sa.select(jobs.c.id)
    .where(
        jobs.c.erased_at.is_(None),
        jobs.c.created_at >= bindparam("since"),
        jobs.c.model.in_(bindparam("models", expanding=True)),
    )
    .limit(1)
)
_SELECT_OPEN_IN_WORKSPACE = (
    _SELECT.where(*_IS_IN_WORKSPACE, sa.text(IS_OPEN)).order_by(jobs.c.created_at, jobs.c.id).limit(bindparam("most"))
)
_COUNT_OPEN = sa.select(sa.func.count()).where(
    sa.text(IS_OPEN),
    # The few open jobs, by their own index: by the user's index every old job of an active user would be read.
    jobs.c.owner >= "",
    jobs.c.platform.concat("") == bindparam("platform"),
    jobs.c.user == bindparam("user"),
)
_COUNT_OPEN_HERE = _COUNT_OPEN.where(jobs.c.user_workspace.concat("") == bindparam("workspace"))
OPEN_COUNTS = (_COUNT_OPEN_HERE.scalar_subquery(), _COUNT_OPEN.scalar_subquery())
"""The open jobs of a person in a workspace and everywhere, as columns; parameters as `bind_user` gives."""
_SELECT_OPEN_COUNTS = sa.select(*OPEN_COUNTS)
_IS_CREATED_BETWEEN = (jobs.c.created_at >= bindparam("since"), jobs.c.created_at < bindparam("until"))
_SELECT_SUMMARIES = (
    sa.select(
        *(jobs.c.created_at, jobs.c.user, jobs.c.user_name, jobs.c.command),
        *(jobs.c.model, jobs.c.state, jobs.c.cost_micros, jobs.c.id),
    )
    .where(*_IS_IN_WORKSPACE, *_IS_CREATED_BETWEEN)
    .order_by(jobs.c.created_at, jobs.c.id)
)
_SELECT_NTH_NEWEST = (
    sa.select(jobs.c.created_at)
    .where(*_IS_IN_WORKSPACE, *_IS_CREATED_BETWEEN)
    .order_by(jobs.c.created_at.desc())
    .offset(bindparam("newer"))
    .limit(1)
)
_spent = sa.func.coalesce(sa.func.sum(jobs.c.cost_micros), 0)
# The holds of a failed or cancelled job are released, unless the job cost something.
_is_charged = sa.or_(
    jobs.c.state.in_([state.value for state in (JobState.FINISHED, JobState.DELIVERED, JobState.UNDELIVERABLE)]),
    jobs.c.cost_micros > 0,
)
# Not the column itself: with fresh statistics SQLite would read all jobs of the platform in the order of the users.
_user = jobs.c.user.concat(sa.literal_column("''")).label("user")
_SUM_BY_USER = (
    sa.select(_user, sa.func.count().label("jobs"), _spent.label("micros"))
    .where(*_IS_IN_WORKSPACE, jobs.c.created_at >= bindparam("since"), _is_charged)
    .group_by(_user)
)
_SUM_IN_WORKSPACE = sa.select(_spent).where(*_IS_IN_WORKSPACE, jobs.c.created_at >= bindparam("since"))

_is_own_output = outputs.c.prediction == jobs.c.prediction
_SELECT_REUSABLE = (
    _SELECT.where(
        jobs.c.platform == bindparam("platform"),
        jobs.c.workspace == bindparam("workspace"),
        jobs.c.reuse_key == bindparam("reuse_key"),
        sa.text("reuse_key <> ''"),
        jobs.c.state.in_([state.value for state in (JobState.FINISHED, JobState.DELIVERED, JobState.UNDELIVERABLE)]),
        jobs.c.erased_at.is_(None),
        sa.exists().where(_is_own_output),
        ~sa.exists().where(_is_own_output, outputs.c.is_flagged),
    )
    .order_by(*_NEWEST_FIRST)
    .limit(1)
)

_SELECT_SOURCES = (
    sa.select(jobs, outputs.c.n.label("source_n"), outputs.c.sha256.label("source_file"))
    .join_from(outputs, jobs, _is_own_output)
    .where(
        outputs.c.sha256.in_(bindparam("files", expanding=True)),
        *_IS_IN_WORKSPACE,
        sa.or_(
            jobs.c.user == bindparam("user"),
            sa.and_(jobs.c.channel == bindparam("channel"), ~jobs.c.is_private),
        ),
        jobs.c.created_at <= bindparam("until"),
        jobs.c.id != bindparam("job"),
        jobs.c.erased_at.is_(None),
    )
    .order_by(*_NEWEST_FIRST, outputs.c.n)
    .limit(bindparam("most"))
)

_REQUEST_CANCEL = (
    sa.update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.cancel_by == "", sa.text(IS_OPEN))
    .values(cancel_by=bindparam("by"), updated_at=bindparam("at"))
)
_RELEASE_OWNER = (
    sa.update(jobs)
    .where(jobs.c.owner == bindparam("worker"), sa.text(IS_UNFINISHED))
    .values(owner="", updated_at=bindparam("at"))
)
_SELECT_UNFINISHED = (
    sa.select(jobs.c.id).where(jobs.c.owner == bindparam("worker"), sa.text(IS_UNFINISHED)).order_by(jobs.c.created_at)
)
_SELECT_CANCEL_REQUESTED = sa.select(jobs.c.id).where(
    jobs.c.owner == bindparam("worker"), jobs.c.cancel_by != "", sa.text(IS_OPEN)
)

_is_alive = sa.exists().where(workers.c.id == jobs.c.owner, workers.c.beat_at > bindparam("dead_before"))
_SELECT_DEAD_OWNERS = (
    sa.select(jobs.c.owner).distinct().where(sa.text(IS_UNFINISHED), jobs.c.owner != bindparam("worker"), ~_is_alive)
)
# The condition reads only the job's own row. After waiting for another claimer's commit, PostgreSQL evaluates the
# condition again for the changed row, but not for joined rows: with NOT EXISTS (workers) here, two claimers got the
# same jobs.
_orphans = (
    sa.select(jobs.c.id)
    .where(
        sa.text(IS_UNFINISHED),
        jobs.c.owner.in_(bindparam("dead", expanding=True)),
        sa.or_(bindparam("all_platforms", type_=sa.Boolean), jobs.c.platform.in_(bindparam("served", expanding=True))),
    )
    .order_by(jobs.c.queue_time.asc().nulls_last(), jobs.c.created_at)
    .limit(bindparam("most"))
    # Two claimers at once get different jobs. SQLite, with one writer, ignores the clause.
    .with_for_update(of=jobs, skip_locked=True)
    .cte("orphans")
)
_CLAIM = (
    sa.update(jobs)
    .where(jobs.c.id.in_(sa.select(_orphans.c.id)))
    .values(owner=bindparam("new_owner"), epoch=jobs.c.epoch + 1, updated_at=bindparam("at"))
    .returning(jobs)
)


class JobStore:
    """Reads and writes jobs. Every change of state is fenced by the job's owner and epoch."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._post = statements.post
        self._stream = statements.stream

    async def add(self, job: Job) -> None:
        """Insert a new job.

        Raises `DuplicateRequest` or `DuplicatePress`, and inserts no row then. The transaction stays usable.
        """
        if (await self._run(_INSERT, row_from_job(job))).rowcount:
            return
        # A redelivered button press repeats both keys, and is the same request.
        if await self.get_by_request_key(job.request_key):
            raise DuplicateRequest(job.request_key)
        raise DuplicatePress(job.press_key)

    async def get(self, job_id: str) -> Job | None:
        """Read one job."""
        return _parse_first(await self._run(_SELECT_BY_ID, {"job": job_id}))

    async def find_own(self, user: User, prefix: str) -> Job | None:
        """Find the only job of a user with an id of this prefix. Returns None for several jobs too."""
        if not prefix:
            return None
        found = _parse_all(await self._run(_SELECT_OWN_BY_PREFIX, {**bind_user(user), "prefix": prefix}))
        return found[0] if len(found) == 1 else None

    async def move_to_channel(self, job_id: str, channel: Channel) -> None:
        """Give a job another place in its channel: the thread or the reply chain of `channel`. The state stays."""
        place = {"new_thread": channel.thread, "new_is_reply_chain": channel.is_reply_chain}
        await self._run(_MOVE_TO_CHANNEL, {"job": job_id, **place})

    async def get_by_request_key(self, request_key: str) -> Job | None:
        """Read the job of a platform's request."""
        return _parse_first(await self._run(_SELECT_BY_REQUEST_KEY, {"request_key": request_key}))

    async def move(self, job: Job, to: JobState, at: datetime, **changes: Unpack[JobChanges]) -> Job | None:
        """Change the state and further fields, if id, state, owner and epoch are still as in `job`.

        Returns the changed job, or None after another worker has taken the job over.
        """
        rows = await self._run(_build_move(tuple(sorted(changes))), _bind_move(job, to, at, changes))
        return _parse_moved(rows, job, to, at, changes)

    async def post_move(
        self, job: Job, to: JobState, at: datetime, take: Callable[[Job | None], None], **changes: Unpack[JobChanges]
    ) -> None:
        """Change the state as `move` does, with the next statement or the commit; `take` gets what `move` returns.

        `take` may run in another thread; its error rolls the transaction back.
        """
        facts = _bind_move(job, to, at, changes)
        await self._post(
            _build_move(tuple(sorted(changes))), facts, lambda rows: take(_parse_moved(rows, job, to, at, changes))
        )

    async def list_steps(self, job_id: str) -> list[tuple[JobState, datetime]]:
        """List the reached states with their times, oldest first. An unknown job has no steps."""
        lines: str = (await self._run(_SELECT_STEPS, {"job": job_id})).scalar_one_or_none() or ""
        steps = [line.split() for line in lines.splitlines()]
        return [(JobState(state), datetime.fromisoformat(at)) for state, at in steps]

    async def request_cancel(self, job_id: str, by: str, at: datetime) -> bool:
        """Record the first cancel request of an open job. Returns whether a request was recorded."""
        return (await self._run(_REQUEST_CANCEL, {"job": job_id, "by": by, "at": at})).rowcount == 1

    async def list_open(self, user: User) -> list[Job]:
        """List the open jobs of a user in the user's workspace, newest first."""
        return _parse_all(await self._run(_SELECT_OPEN, bind_user(user)))

    async def list_recent(self, user: User, limit: int) -> list[Job]:
        """List the jobs of a user in the user's workspace, in any state, newest first."""
        return _parse_all(await self._run(_SELECT_RECENT, {**bind_user(user), "most": limit}))

    async def list_recent_in_channel(self, platform: str, workspace: str, channel: str, limit: int) -> list[Job]:
        """List the jobs of a channel, in any state, newest first."""
        facts = {"platform": platform, "workspace": workspace, "channel": channel, "most": limit}
        return _parse_all(await self._run(_SELECT_RECENT_IN_CHANNEL, facts))

    async def list_recent_in_thread(self, channel: Channel, since: datetime, limit: int) -> list[Job]:
        """List the jobs of a thread, or of a channel outside its threads, since a time, newest first."""
        place = {"platform": channel.platform, "workspace": channel.workspace, "channel": channel.id}
        facts = {**place, "thread": channel.thread, "since": since, "most": limit}
        return _parse_all(await self._run(_SELECT_RECENT_IN_THREAD, facts))

    async def was_used_since(self, models: Sequence[str], since: datetime) -> bool:
        """Give whether a job of one of these models was accepted since a time."""
        return (await self._run(_SELECT_USE, {"models": list(models), "since": since})).first() is not None

    async def unfinished(self, owner: str) -> list[str]:
        """List the ids of a worker's jobs with users still waiting for the result, oldest first."""
        return [row.id for row in await self._run(_SELECT_UNFINISHED, {"worker": owner})]

    async def cancel_requested(self, owner: str) -> list[str]:
        """List the ids of a worker's open jobs with a cancel request."""
        return [row.id for row in await self._run(_SELECT_CANCEL_REQUESTED, {"worker": owner})]

    async def claim(
        self, owner: str, dead_before: datetime, at: datetime, limit: int, platforms: Sequence[str] | None = None
    ) -> list[Job]:
        """Take over unfinished jobs of other workers without a heartbeat since `dead_before`; raises each epoch.

        Returns the jobs by queue time; jobs without a queue time come last, oldest first. `platforms` limits the
        claim to jobs of platforms served by this worker.
        """
        dead = [
            row.owner for row in await self._run(_SELECT_DEAD_OWNERS, {"worker": owner, "dead_before": dead_before})
        ]
        if not dead:
            return []
        facts: dict[str, Any] = {"dead": dead, "new_owner": owner, "at": at, "most": limit}
        facts |= {"all_platforms": platforms is None, "served": list(platforms or ())}
        return sorted(_parse_all(await self._run(_CLAIM, facts)), key=_get_queue_key)

    async def release_owner(self, owner: str, at: datetime) -> int:
        """Remove the owner of a stopping worker's unfinished jobs: another worker claims the jobs without waiting.

        Returns the number of jobs.
        """
        return (await self._run(_RELEASE_OWNER, {"worker": owner, "at": at})).rowcount

    async def find_reusable(self, job: Job) -> Job | None:
        """Find the newest finished job of an identical request in the workspace, with kept and unflagged outputs."""
        facts = {"platform": job.channel.platform, "workspace": job.channel.workspace, "reuse_key": job.reuse_key}
        return _parse_first(await self._run(_SELECT_REUSABLE, facts))

    async def find_sources(self, job: Job, limit: int) -> dict[str, tuple[Job, int]]:
        """Find the jobs that made the files given to a job: by SHA-256, the newest job and the number of the output.

        Jobs of the same person count, and public jobs of the channel. At most `limit` rows are read.
        """
        facts: dict[str, Any] = {"files": list(job.given_files), "until": job.created_at, "job": job.id, "most": limit}
        facts |= {**bind_user(job.user), "channel": job.channel.id}
        found: dict[str, tuple[Job, int]] = {}
        for row in await self._run(_SELECT_SOURCES, facts):
            found.setdefault(row.source_file, (job_from_row(row), row.source_n))
        return found

    async def count_open(self, user: User) -> tuple[int, int]:
        """Count the open jobs of a person in the person's workspace, and in all workspaces of the platform."""
        ((here, everywhere),) = await self._run(_SELECT_OPEN_COUNTS, bind_user(user))
        return here, everywhere

    async def list_open_in_workspace(self, platform: str, workspace: str, limit: int) -> list[Job]:
        """List the open jobs of a workspace's users, oldest first."""
        facts = {"platform": platform, "workspace": workspace, "most": limit}
        return _parse_all(await self._run(_SELECT_OPEN_IN_WORKSPACE, facts))

    async def stream_created_in_workspace(
        self, platform: str, workspace: str, since: datetime, until: datetime, limit: int
    ) -> AsyncGenerator[list[JobSummary]]:
        """Give the jobs of a workspace's users created from `since` until before `until` in portions, oldest first.

        Of more than `limit` jobs the newest are given. Jobs of the same microsecond may be left out together.
        """
        facts = {"platform": platform, "workspace": workspace, "since": since, "until": until}
        row = (await self._run(_SELECT_NTH_NEWEST, {**facts, "newer": limit})).first()
        if row is not None:
            facts["since"] = row.created_at + timedelta(microseconds=1)
        async with aclosing(self._stream(_SELECT_SUMMARIES, facts)) as portions:
            async for rows in portions:
                yield [_summary_from_row(row) for row in rows]

    async def sum_spent_by_user(self, platform: str, workspace: str, since: datetime) -> list[tuple[str, int, int]]:
        """Sum the costs of a workspace's jobs created since a time as (user, jobs, micros), in no order.

        A job's cost is what the wallets paid for the job (`quota verify` compares both).
        """
        facts = {"platform": platform, "workspace": workspace, "since": since}
        return [(row.user, row.jobs, int(row.micros)) for row in await self._run(_SUM_BY_USER, facts)]

    async def sum_spent_in_workspace(self, platform: str, workspace: str, since: datetime) -> int:
        """Sum the costs, in micros, of the jobs of a workspace's users created since a time."""
        facts = {"platform": platform, "workspace": workspace, "since": since}
        return int((await self._run(_SUM_IN_WORKSPACE, facts)).scalar_one())


@cache
def _build_move(names: tuple[str, ...]) -> sa.UpdateBase:
    """Build the compare-and-set for a set of changed columns. Raises `TypeError` for a column outside `JobChanges`.

    Cached: a new statement object would be compiled again at every use.
    """
    if unknown := set(names) - JobChanges.__annotations__.keys():
        raise TypeError(f"a move cannot change {', '.join(sorted(unknown))}")
    return (
        sa.update(jobs)
        .where(
            jobs.c.id == bindparam("job"),
            jobs.c.state == bindparam("from_state"),
            jobs.c.owner == bindparam("worker"),
            jobs.c.epoch == bindparam("of_epoch"),
        )
        .values(state=bindparam("to_state"), updated_at=bindparam("at"), steps=jobs.c.steps.concat(bindparam("step")))
        .values({name: bindparam(f"new_{name}") for name in names})
        .returning(jobs.c.cancel_by)
    )


def _bind_move(job: Job, to: JobState, at: datetime, changes: JobChanges) -> dict[str, Any]:
    condition = {"job": job.id, "from_state": job.state.value, "worker": job.owner, "of_epoch": job.epoch}
    values = {f"new_{name}": value for name, value in changes.items()}
    step = format_step(to, at) if to is not job.state else ""
    return {**condition, **values, "to_state": to.value, "at": at, "step": step}


def _parse_moved(rows: Rows, job: Job, to: JobState, at: datetime, changes: JobChanges) -> Job | None:
    moved = rows.first()
    # `cancel_by` may differ from `job`: a cancel request is written without owning the job.
    return replace(job, state=to, updated_at=at, cancel_by=moved.cancel_by, **changes) if moved else None


def _get_queue_key(job: Job) -> tuple[bool, float, datetime, str]:
    # RETURNING gives rows in no particular order: sort again as in `_orphans`.
    return (job.queue_time is None, job.queue_time or 0, job.created_at, job.id)


def _summary_from_row(row: sa.Row[Any]) -> JobSummary:
    state = JobState(row.state)
    return JobSummary(row.created_at, row.user, row.user_name, row.command, row.model, state, row.cost_micros, row.id)


def bind_user(user: User) -> dict[str, str]:
    """Give the parameters of statements about the jobs of a person in the person's workspace."""
    return {"platform": user.platform, "workspace": user.workspace, "user": user.id}


def _parse_first(rows: Rows) -> Job | None:
    row = rows.first()
    return job_from_row(row) if row else None


def _parse_all(rows: Rows) -> list[Job]:
    return [job_from_row(row) for row in rows]


# Workers, and the webhooks that they received.

_insert_worker = insert(workers)
_UPSERT_WORKER = _insert_worker.on_conflict_do_update(
    index_elements=["id"], set_={"beat_at": _insert_worker.excluded.beat_at}
)
_SELECT_ALIVE = sa.select(workers.c.id).where(workers.c.beat_at > bindparam("since")).order_by(workers.c.id)
_DELETE_WORKER = sa.delete(workers).where(workers.c.id == bindparam("worker"))


class WorkerStore:
    """Reads and writes one heartbeat row for each living process."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def record_heartbeat(self, worker: str, at: datetime) -> None:
        """Store the time of a worker's latest heartbeat."""
        await self._run(_UPSERT_WORKER, {"id": worker, "beat_at": at})

    async def list_alive(self, since: datetime) -> list[str]:
        """List the ids of workers with a heartbeat after a time, sorted."""
        return [row.id for row in await self._run(_SELECT_ALIVE, {"since": since})]

    async def remove(self, worker: str) -> None:
        """Delete the row of a stopping worker."""
        await self._run(_DELETE_WORKER, {"worker": worker})


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
