"""At start and ever after: jobs whose worker is gone are taken up again.

A worker's id is a name and a boot uuid: a name alone would make a new process look like the old one, alive.
"""

import asyncio
import logging
from collections.abc import Collection
from datetime import timedelta

from bot.core.clock import Clock
from bot.jobs.runner import Runner
from bot.storage.database import Database

log = logging.getLogger(__name__)

LEASE_SECONDS = 5.0
"""A worker without a beat for so long is dead, and others take its jobs."""

CLAIM_BATCH_SIZE = 200


class Recovery:
    """`is_alone`: the database lets no second process in, so that every other worker is surely dead."""

    def __init__(
        self,
        database: Database,
        runner: Runner,
        clock: Clock,
        worker: str,
        platforms: Collection[str],
        *,
        is_alone: bool,
    ) -> None:
        """`platforms` are those this worker can speak for; jobs of others are left to others."""
        self._database = database
        self._runner = runner
        self._clock = clock
        self._worker = worker
        self._platforms = platforms
        self._is_alone = is_alone
        self._heartbeat_task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Take up every job that waits; gives how many. Then keep beating and looking."""
        await self._record_heartbeat()
        taken = await self.recover_jobs(0 if self._is_alone else LEASE_SECONDS)
        self._heartbeat_task = asyncio.create_task(self._run())
        return taken

    async def recover_jobs(self, lease_seconds: float) -> int:
        """Claim the jobs of dead workers and run them."""
        taken = 0
        while True:
            now = self._clock.now()
            async with self._database.write(is_urgent=True) as tx:
                dead_before = now - timedelta(seconds=lease_seconds)
                jobs = await tx.jobs.claim(self._worker, dead_before, now, CLAIM_BATCH_SIZE, list(self._platforms))
            for job in jobs:
                log.info("job.taken_up", extra={"job": job.id, "state": job.state})
                self._runner.launch(job)
            taken += len(jobs)
            if len(jobs) < CLAIM_BATCH_SIZE:
                return taken

    async def stop(self) -> None:
        """Leave: jobs still open get no owner, so that the next worker takes them at once."""
        if self._heartbeat_task is not None:
            self._heartbeat_task.cancel()
            await asyncio.gather(self._heartbeat_task, return_exceptions=True)
        async with self._database.write(is_urgent=True) as tx:
            await tx.jobs.release_owner(self._worker, self._clock.now())
            await tx.workers.remove(self._worker)

    async def _run(self) -> None:
        beats = 0
        while True:
            await self._clock.sleep(LEASE_SECONDS / 5)
            beats += 1
            try:
                if not self._is_alone:
                    await self._record_heartbeat()
                    await self.recover_jobs(LEASE_SECONDS)
                    await self._stop_cancelled_jobs()
                if beats % 5 == 0:
                    await self._recover_stranded_jobs()
            except Exception:  # the heart goes on: without it others take our jobs
                log.exception("worker.heart_stumbled")

    async def _stop_cancelled_jobs(self) -> None:
        """Jobs of this worker whose Stop was pressed where another one listens."""
        async with self._database.read() as tx:
            unwanted = await tx.jobs.cancel_requested(self._worker)
        for job_id in unwanted:
            self._runner.cancel(job_id)

    async def _recover_stranded_jobs(self) -> None:
        """Jobs of this worker that nobody works on: their task met something it could not handle.

        Their rows are read one by one: the others are hundreds, and would stand the loop still for a tenth of a second.
        """
        async with self._database.read() as tx:
            waited_for = await tx.jobs.unfinished(self._worker)
        for job_id in waited_for:
            if self._runner.is_working_on(job_id):
                continue
            async with self._database.read() as tx:
                job = await tx.jobs.get(job_id)
            if job is not None and job.notified_at is None:  # it may have ended since the first look
                self._runner.launch(job)

    async def _record_heartbeat(self) -> None:
        now = self._clock.now()
        async with self._database.write(is_urgent=True) as tx:
            await tx.workers.record_heartbeat(self._worker, now)
            alive = await tx.workers.list_alive(now - timedelta(seconds=LEASE_SECONDS))
        self._runner.divide_limits(self._worker, [self._worker] if self._is_alone else alive)
