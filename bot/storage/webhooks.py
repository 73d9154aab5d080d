"""Stores the webhooks of workspaces, and the ended jobs that wait to be posted there."""

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.jobs import Job
from bot.core.people import Workspace
from bot.storage.connection import Statements
from bot.storage.tables.jobs import webhook_posts
from bot.storage.tables.people import webhooks

_IS_OF_WORKSPACE = (
    webhooks.c.platform == bindparam("of_platform"),
    webhooks.c.workspace == bindparam("of_workspace"),
)
_IS_POST_OF_WORKSPACE = (
    webhook_posts.c.platform == bindparam("of_platform"),
    webhook_posts.c.workspace == bindparam("of_workspace"),
)
_SELECT = sa.select(webhooks).where(*_IS_OF_WORKSPACE)
_insert = insert(webhooks)
_UPSERT = _insert.on_conflict_do_update(
    index_elements=["platform", "workspace"],
    set_={name: _insert.excluded[name] for name in ("url", "secret", "added_at", "taken_at", "failed_at", "error")},
)
_DELETE = sa.delete(webhooks).where(*_IS_OF_WORKSPACE)
_RECORD_TAKEN = sa.update(webhooks).where(*_IS_OF_WORKSPACE).values(taken_at=bindparam("at"))
_TURN_OFF = (
    sa.update(webhooks)
    .where(
        *_IS_OF_WORKSPACE,
        webhooks.c.url == bindparam("of_url"),
        webhooks.c.failed_at.is_(None),
        sa.or_(webhooks.c.taken_at.is_(None), webhooks.c.taken_at < bindparam("since")),
    )
    .values(secret="", error=bindparam("new_error"), failed_at=bindparam("at"))
)
_INSERT_POST = insert(webhook_posts).on_conflict_do_nothing()
_SELECT_DUE = (
    sa.select(webhook_posts.c.platform, webhook_posts.c.workspace)
    .distinct()
    .where(webhook_posts.c.due_at <= bindparam("at"))
)
_due = (
    sa.select(webhook_posts.c.job)
    .where(*_IS_POST_OF_WORKSPACE, webhook_posts.c.due_at <= bindparam("at"))
    .order_by(webhook_posts.c.due_at, webhook_posts.c.created_at, webhook_posts.c.job)
    .limit(1)
    # Two processes at once claim different posts. SQLite, with one writer, ignores the clause.
    .with_for_update(skip_locked=True)
    .cte("due")
)
_CLAIM = (
    sa.update(webhook_posts)
    .where(webhook_posts.c.job.in_(sa.select(_due.c.job)))
    .values(attempts=webhook_posts.c.attempts + 1, due_at=bindparam("until"))
    .returning(webhook_posts)
)
_POSTPONE = sa.update(webhook_posts).where(webhook_posts.c.job == bindparam("of_job")).values(due_at=bindparam("until"))
_DELETE_POST = sa.delete(webhook_posts).where(webhook_posts.c.job == bindparam("of_job"))
_DELETE_POSTS = sa.delete(webhook_posts).where(*_IS_POST_OF_WORKSPACE)


@dataclass(frozen=True, slots=True)
class Webhook:
    """The webhook of a workspace. A webhook that was given up has an `error` and no secret any more."""

    url: str = field(repr=False)
    """The whole address: path and query may hold a key of the receiver's."""
    secret: str = field(repr=False)
    """`whsec_` and the key in base64, as Standard Webhooks write secrets."""
    added_at: datetime
    taken_at: datetime | None = None
    """The time of the latest post that the receiver took."""
    failed_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class WebhookPost:
    """A job that waits to be posted. `attempts` counts the claims, the present claim included."""

    job: str
    attempts: int
    created_at: datetime


class WebhookStore:
    """Reads and writes webhooks and the posts that wait for webhooks."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def get(self, workspace: Workspace) -> Webhook | None:
        """Read the webhook of a workspace, also a webhook that was given up."""
        row = (await self._run(_SELECT, _bind(workspace))).first()
        names = ("url", "secret", "added_at", "taken_at", "failed_at", "error")
        return Webhook(**{name: getattr(row, name) for name in names}) if row else None

    async def put(self, workspace: Workspace, webhook: Webhook) -> None:
        """Insert the webhook of a workspace, or replace the former webhook."""
        facts = {"platform": workspace.platform, "workspace": workspace.id}
        facts |= {"url": webhook.url, "secret": webhook.secret, "error": webhook.error}
        times = {"added_at": webhook.added_at, "taken_at": webhook.taken_at, "failed_at": webhook.failed_at}
        await self._run(_UPSERT, {**facts, **times})

    async def remove(self, workspace: Workspace) -> bool:
        """Delete the webhook of a workspace with all waiting posts. Returns whether there was a webhook."""
        await self._run(_DELETE_POSTS, _bind(workspace))
        return (await self._run(_DELETE, _bind(workspace))).rowcount == 1

    async def record_taken(self, workspace: Workspace, at: datetime) -> None:
        """Store the time at which the receiver took a post."""
        await self._run(_RECORD_TAKEN, {**_bind(workspace), "at": at})

    async def turn_off(self, workspace: Workspace, url: str, since: datetime, error: str, at: datetime) -> int | None:
        """Erase the secret of a webhook whose receiver took no post since a time, and delete the waiting posts.

        Returns the number of posts; None for a webhook that was changed or turned off meanwhile, or that took a post.
        """
        facts = {**_bind(workspace), "of_url": url, "since": since, "new_error": error, "at": at}
        if not (await self._run(_TURN_OFF, facts)).rowcount:
            return None
        return (await self._run(_DELETE_POSTS, _bind(workspace))).rowcount

    async def add_post(self, job: Job, at: datetime) -> None:
        """Store an ended job as a post for the webhook of the user's workspace. A job is stored once."""
        facts = {"job": job.id, "platform": job.user.platform, "workspace": job.user.workspace}
        await self._run(_INSERT_POST, {**facts, "attempts": 0, "created_at": at, "due_at": at})

    async def list_due(self, now: datetime) -> list[Workspace]:
        """List the workspaces with posts that are due."""
        return [Workspace(row.platform, row.workspace) for row in await self._run(_SELECT_DUE, {"at": now})]

    async def claim_post(self, workspace: Workspace, now: datetime, until: datetime) -> WebhookPost | None:
        """Take the post of a workspace that is due for longest. Other processes leave the post alone until a time."""
        row = (await self._run(_CLAIM, {**_bind(workspace), "at": now, "until": until})).first()
        return WebhookPost(row.job, row.attempts, row.created_at) if row else None

    async def postpone_post(self, job_id: str, until: datetime) -> None:
        """Let a post wait until a time."""
        await self._run(_POSTPONE, {"of_job": job_id, "until": until})

    async def remove_post(self, job_id: str) -> None:
        """Delete a post. Harmless for an unknown job."""
        await self._run(_DELETE_POST, {"of_job": job_id})


def _bind(workspace: Workspace) -> dict[str, str]:
    return {"of_platform": workspace.platform, "of_workspace": workspace.id}
