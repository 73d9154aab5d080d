"""Notices of backends come in: each is written down once, and a create that nobody answered yet gets its run by them.

Who waits for a run in this process is woken by the backend itself. A notice for a job that another process works on is
stored all the same; that process finds out by looking.
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

NOTICE_RETENTION = timedelta(hours=1)
"""Replicate repeats a notice for about a minute, and refuses none older than five are believed."""

CLEANUP_INTERVAL = 500
"""Notices between two clearings of the old ones."""


class Inbox:
    """Takes notices; see `core.backend.TakeNotice`."""

    def __init__(self, database: Database, runner: Runner, clock: Clock) -> None:
        self._database = database
        self._runner = runner
        self._clock = clock
        self._notice_count = 0

    async def take(self, notice: RunNotification) -> bool:
        """Write a notice down, and give its run to a job whose create is still unanswered. False for a repeated one."""
        try:
            is_news, is_adopted = await self._write(notice, may_adopt=True)
        except AlreadyClaimed:  # the job's run before this one, or another job's: nothing to adopt
            is_news, is_adopted = await self._write(notice, may_adopt=False)
        if is_adopted:
            log.info("job.adopted", extra={"job": notice.job, "prediction": notice.backend_id, "by": "webhook"})
            self._runner.notify_run_assigned(notice.job)
        return is_news

    async def _write(self, notice: RunNotification, *, may_adopt: bool) -> tuple[bool, bool]:
        now = self._clock.now()
        async with self._database.write(is_urgent=True) as tx:
            is_news = await tx.inbox.add(notice.id, notice.job, now)
            is_adopted = may_adopt and is_news and await _adopt(tx, notice)
            self._notice_count += 1
            if self._notice_count % CLEANUP_INTERVAL == 0:
                await tx.inbox.delete_before(now - NOTICE_RETENTION)
        return is_news, is_adopted


async def _adopt(tx: Transaction, notice: RunNotification) -> bool:
    """The job's worker moves it on: its create is answered in a moment, or it asks the row before it sends another."""
    job = await tx.jobs.get(notice.job)
    if job is None or job.state is not JobState.SUBMITTING or not job.prediction:
        return False
    record = await tx.predictions.get(job.prediction)
    if record is None or record.submitted_at is None or record.backend_id:
        return False
    await tx.predictions.bind_backend_id(record.id, notice.backend_id)
    return True
