"""Stores each webhook notification once, and binds the run to a job with an unanswered create.

The backend itself wakes the watcher of a run in this process. If another process has the job, that process finds the
binding in the prediction's row.
"""

import logging
from datetime import timedelta

from bot.core.backend import RunNotification
from bot.core.clock import Clock
from bot.core.errors import AlreadyClaimed
from bot.core.jobs import JobState
from bot.jobs.runner import Runner
from bot.storage.database import Database, Transaction

log = logging.getLogger(__name__)

# Replicate repeats a webhook for about a minute (replicate.com/docs/topics/webhooks/receive-webhook), and the receiver
# rejects signatures older than five minutes: an id stored for an hour cannot come back.
NOTICE_RETENTION = timedelta(hours=1)

CLEANUP_INTERVAL = 500
"""Notifications between two deletions of old ids."""


class Inbox:
    """Takes the notifications of webhooks; `take` is a `core.backend.RunNotificationHandler`."""

    def __init__(self, database: Database, runner: Runner, clock: Clock) -> None:
        self._database = database
        self._runner = runner
        self._clock = clock
        self._notice_count = 0

    async def take(self, notice: RunNotification) -> bool:
        """Store a notification, and bind the run to a job with an unanswered create; return false for a repeat."""
        try:
            is_new, is_adopted = await self._store(notice, may_adopt=True)
        except AlreadyClaimed:  # an earlier run of the job, or the run of another job: nothing to adopt
            is_new, is_adopted = await self._store(notice, may_adopt=False)
        if is_adopted:
            log.info("job.adopted", extra={"job": notice.job, "prediction": notice.backend_id, "by": "webhook"})
            self._runner.notify_run_assigned(notice.job)
        return is_new

    async def _store(self, notice: RunNotification, *, may_adopt: bool) -> tuple[bool, bool]:
        """Return whether the notification is new, and whether a job adopted the run."""
        now = self._clock.now()
        async with self._database.write(is_urgent=True) as tx:
            is_new = await tx.inbox.add(notice.id, notice.job, now)
            is_adopted = may_adopt and is_new and await _adopt(tx, notice)
            self._notice_count += 1
            if self._notice_count % CLEANUP_INTERVAL == 0:
                await tx.inbox.delete_before(now - NOTICE_RETENTION)
        return is_new, is_adopted


async def _adopt(tx: Transaction, notice: RunNotification) -> bool:
    """Bind the run to the prediction of a submitting job without a run; return whether such a job exists."""
    # The state stays `submitting`: the job's worker moves the job when the create is answered, or reads the binding
    # before sending another create.
    job = await tx.jobs.get(notice.job)
    if job is None or job.state is not JobState.SUBMITTING or not job.prediction:
        return False
    record = await tx.predictions.get(job.prediction)
    if record is None or record.submitted_at is None or record.backend_id:
        return False
    await tx.predictions.bind_backend_id(record.id, notice.backend_id)
    return True
