"""Takes over the jobs of dead workers, restarts stranded jobs of this worker, and binds runs that webhooks report.

A worker's id is a name and a boot uuid. With the name alone, a new process would look like the old process, alive.

Each webhook notification is stored once, and binds the run to a job with an unanswered create. The backend itself wakes
the watcher of a run in this process. If another process has the job, that process finds the binding in the prediction's
row.
"""

import logging
from collections.abc import Collection
from datetime import timedelta

from bot.catalogue.added_models import AddedModels
from bot.core.backend import RunNotification
from bot.core.background_tasks import BackgroundTasks
from bot.core.clock import Clock
from bot.core.errors import AlreadyClaimed
from bot.core.jobs import JobState
from bot.jobs.runner import Runner
from bot.storage.database import Database, Transaction

log = logging.getLogger(__name__)

LEASE_SECONDS = 5.0
"""A worker without a heartbeat for this long counts as dead, and other workers take over its jobs."""

CLAIM_BATCH_SIZE = 200

BEATS_PER_LEASE = 5

# Replicate repeats a webhook for about a minute (replicate.com/docs/topics/webhooks/receive-webhook), and the receiver
# rejects signatures older than five minutes: an id stored for an hour cannot come back.
NOTICE_RETENTION = timedelta(hours=1)

CLEANUP_INTERVAL = 500
"""Notifications between two deletions of old ids."""


class Recovery:
    """Beats the heart of this worker, and claims the jobs of workers with a stopped heart."""

    def __init__(
        self,
        database: Database,
        runner: Runner,
        clock: Clock,
        worker: str,
        platforms: Collection[str],
        models: AddedModels,
        *,
        is_alone: bool,
    ) -> None:
        """`platforms` are the platforms of this worker; jobs of other platforms are left to other workers.

        `is_alone`: the database is locked for other processes, so every other worker is dead.
        """
        self._database = database
        self._runner = runner
        self._clock = clock
        self._worker = worker
        self._platforms = platforms
        self._models = models
        self._is_alone = is_alone
        self._tasks = BackgroundTasks("recovery")

    async def start(self) -> int:
        """Claim and launch all jobs of dead workers, then keep the heart beating; return the number of jobs."""
        # The heartbeat goes first: without, this worker is dead to the others, and loses the claimed jobs again.
        await self._record_heartbeat()
        claimed_count = await self.recover_jobs(0 if self._is_alone else LEASE_SECONDS)
        self._tasks.spawn(self._run(), "heartbeat")
        return claimed_count

    async def recover_jobs(self, lease_seconds: float) -> int:
        """Claim and launch the jobs of workers without a heartbeat for `lease_seconds`; return the number of jobs."""
        claimed_count = 0
        while True:
            now = self._clock.now()
            async with self._database.write(is_urgent=True) as tx:
                dead_before = now - timedelta(seconds=lease_seconds)
                jobs = await tx.jobs.claim(self._worker, dead_before, now, CLAIM_BATCH_SIZE, list(self._platforms))
            if jobs:  # a job may run on a model that another process added
                await self._models.reload()
            for job in jobs:
                log.info("job.taken_up", extra={"job": job.id, "state": job.state})
                self._runner.launch(job)
            claimed_count += len(jobs)
            if len(jobs) < CLAIM_BATCH_SIZE:
                return claimed_count

    async def stop(self) -> None:
        """Stop the heartbeat and give up the ownership of open jobs, so the next worker claims the jobs at once."""
        await self._tasks.cancel()
        async with self._database.write(is_urgent=True) as tx:
            await tx.jobs.release_owner(self._worker, self._clock.now())
            await tx.workers.remove(self._worker)

    async def _run(self) -> None:
        beats = 0
        while True:
            await self._clock.sleep(LEASE_SECONDS / BEATS_PER_LEASE)
            beats += 1
            try:
                if not self._is_alone:
                    await self._record_heartbeat()
                    await self.recover_jobs(LEASE_SECONDS)
                    await self._stop_cancelled_jobs()
                if beats % BEATS_PER_LEASE == 0:
                    await self._recover_stranded_jobs()
            except Exception:  # without a heartbeat other workers would claim our jobs
                log.exception("worker.heart_stumbled")

    async def _stop_cancelled_jobs(self) -> None:
        """Cancel the jobs of this worker after another worker handled the press of Stop."""
        async with self._database.read() as tx:
            job_ids = await tx.jobs.cancel_requested(self._worker)
        for job_id in job_ids:
            self._runner.cancel(job_id)

    async def _recover_stranded_jobs(self) -> None:
        """Launch the unfinished jobs of this worker without a task: an unexpected error ended the task."""
        async with self._database.read() as tx:
            job_ids = await tx.jobs.unfinished(self._worker)
        for job_id in job_ids:
            if self._runner.is_working_on(job_id):
                continue
            # Only stranded rows are read whole: parsing hundreds of running jobs blocks the event loop for 0.1 s.
            async with self._database.read() as tx:
                job = await tx.jobs.get(job_id)
            if job is not None and job.notified_at is None:  # the job may have ended since `unfinished`
                self._runner.launch(job)

    async def _record_heartbeat(self) -> None:
        now = self._clock.now()
        async with self._database.write(is_urgent=True) as tx:
            await tx.workers.record_heartbeat(self._worker, now)
            alive = await tx.workers.list_alive(now - timedelta(seconds=LEASE_SECONDS))
        self._runner.divide_limits(self._worker, [self._worker] if self._is_alone else alive)


# Runs reported by webhooks.


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
