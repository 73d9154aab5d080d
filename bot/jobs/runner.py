"""One task for each job, that takes it from whatever state it is in to its end. Recovery is the same road."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from bot.core.errors import BackendError, EaselError, InternalError, Unavailable, UserError, new_reference
from bot.core.jobs import OPEN_STATES, Job, JobState, PostedMessage
from bot.jobs import completion, delivery, placeholder, retry, reuse, submitting, watching
from bot.jobs.job_queues import QueueSlot
from bot.jobs.work import JobLost, JobServices, Work
from bot.telemetry import metrics
from bot.telemetry.logs import job_context

log = logging.getLogger(__name__)

DATABASE_RETRY_SECONDS = (0.2, 1.0, 5.0, 15.0)
"""Waits before a stage is tried again when the database does not answer; the last one repeats."""


class Runner:
    """Runs the jobs of this process."""

    def __init__(self, services: JobServices, grace_seconds: float = submitting.GRACE_SECONDS) -> None:
        self._services = services
        self._grace_seconds = grace_seconds
        self._works: dict[str, Work] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._epochs: dict[str, int] = {}

    def launch(self, job: Job, posted: Sequence[PostedMessage] = ()) -> None:
        """Work on a job until it is delivered. One that is being worked on is left alone, unless it was lost meanwhile.

        `posted` are the messages of a new job that are there already.

        A higher epoch says that another worker had it: the old task, which can write nothing any more, ends first.
        """
        before = self._tasks.get(job.id)
        if before is not None and self._epochs.get(job.id) == job.epoch:
            return
        turn = self._create_slot(job)
        task = asyncio.create_task(self._run(job, turn, before, posted), name=f"job {job.id}")
        self._tasks[job.id], self._epochs[job.id] = task, job.epoch
        task.add_done_callback(lambda done: self._remove_task(job.id, done))
        task.add_done_callback(lambda _: turn.leave())  # also that of a task which never began

    def cancel(self, job_id: str) -> None:
        """Somebody wants a job stopped: tell the task that works on it, if it is here."""
        if (work := self._works.get(job_id)) is not None:
            work.cancel_requested.set()

    def notify_run_assigned(self, job_id: str) -> None:
        """A notice came for a job whose create is unanswered: wake the task that waits, if it is here."""
        if (work := self._works.get(job_id)) is not None:
            work.run_assigned.set()

    def divide_limits(self, worker: str, workers: Sequence[str]) -> None:
        """What models allow at once is divided among the living `workers`, of which this process is one."""
        if worker in workers:
            self._services.queues.set_process_share(workers.index(worker), len(workers))

    def is_working_on(self, job_id: str) -> bool:
        """Whether a task of this process has the job."""
        return job_id in self._tasks

    @property
    def running_count(self) -> int:
        return len(self._tasks)

    async def drain(self, seconds: float) -> bool:
        """Wait for running jobs; gives whether all ended in time."""
        if not self._tasks:
            return True
        _, pending = await asyncio.wait(list(self._tasks.values()), timeout=seconds)
        return not pending

    async def stop(self) -> None:
        """Leave running jobs where their rows say they are: the next start takes them up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remove_task(self, job_id: str, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(job_id) is task:
            del self._tasks[job_id], self._epochs[job_id]
            self._works.pop(job_id, None)
        metrics.jobs_open.set(len(self._tasks))

    def _create_slot(self, job: Job) -> QueueSlot:
        """Its place in line. Jobs that are taken up stand there at once, in the order in which they are launched."""
        turn = self._services.queues.slot_for_run(job, self._services.catalogue.get(job.model))
        if job.state is JobState.QUEUED and not job.reuses:
            turn.join()
        elif job.state in (JobState.SUBMITTING, JobState.RUNNING):
            turn.occupy()
        return turn

    async def _run(
        self, job: Job, slot: QueueSlot, before: "asyncio.Task[None] | None", posted: Sequence[PostedMessage]
    ) -> None:
        metrics.jobs_open.set(len(self._tasks))
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        model = self._services.catalogue.get(job.model)
        work = self._works[job.id] = Work(self._services, job, model, list(posted), usual_seconds=model.usual_seconds)
        if job.cancel_by:
            work.cancel_requested.set()
        with job_context(job.id):
            try:
                await self._load_posted_messages(work)
                await self._run_stages(work, slot)
            except JobLost:
                log.warning("job.lost", extra={"job": job.id})
                await self._restore_result(work)
            except Exception:  # its row says where it is, and recovery takes it up again
                log.exception("job.stranded", extra={"job": job.id})
            finally:
                await work.close()

    async def _load_posted_messages(self, work: Work) -> None:
        """What is known of a job that is not new: the messages posted so far."""
        work.usual_seconds = await self._services.usual_times.get_seconds(work.model)
        if work.job.epoch or work.job.state is not JobState.ACCEPTED:
            async with self._services.database.read() as tx:
                work.posted = await tx.messages.list_messages(work.job.id)

    async def _restore_result(self, work: Work) -> None:
        """Our last edit may stand over the result that another worker delivered: show that again."""
        with contextlib.suppress(Exception):
            async with self._services.database.read() as tx:
                row, posted = await tx.jobs.get(work.job.id), await tx.messages.list_messages(work.job.id)
            if row is None or row.notified_at is None or row.owner == work.job.owner:
                return
            await work.close()
            theirs = Work(self._services, row, work.model, posted=posted)
            reply = self._services.presenter.render_result(row, work.model, await delivery.load_result(theirs))
            await theirs.editor.finish(reply)

    async def _run_stages(self, work: Work, slot: QueueSlot) -> None:
        """Stage after stage, until the person has been told."""
        if work.job.model not in self._services.catalogue:
            await self._fail(work, UserError(f"{work.job.model} is not offered any more. You were not charged."))
        await self._run_stage(work, placeholder.post_placeholder, JobState.ACCEPTED)
        if work.job.reuses:
            await self._run_stage(work, reuse.finish_reusing_job, JobState.QUEUED)
        elif work.job.state is JobState.QUEUED:
            await placeholder.wait_for_slot(work, slot)
        await self._run_stage(work, self._submit, JobState.QUEUED)
        await self._run_until_completed(work)
        slot.leave()
        if work.job.notified_at is None:
            await self._run_stage(work, delivery.deliver, work.job.state)

    async def _run_until_completed(self, work: Work) -> None:
        """A run that failed of something passing is followed by another: back to `submitting`, once."""
        while work.job.state in (JobState.SUBMITTING, JobState.RUNNING):
            await self._run_stage(work, self._resume, JobState.SUBMITTING)
            await self._run_stage(work, self._watch, JobState.RUNNING)

    async def _run_stage(self, work: Work, stage: Callable[[Work], Awaitable[None]], state: JobState) -> None:
        """One stage, if the job is in its state; tried again while the database is away: its row still says so."""
        attempt = 0
        while work.job.state is state and work.job.notified_at is None:
            try:
                await self._run_guarded(work, stage)
            except Unavailable:
                wait = DATABASE_RETRY_SECONDS[min(attempt, len(DATABASE_RETRY_SECONDS) - 1)]
                log.warning("job.database_away", extra={"job": work.job.id, "wait_seconds": wait})
                attempt += 1
                await self._services.clock.sleep(wait)
                continue
            return

    async def _run_guarded(self, work: Work, stage: Callable[[Work], Awaitable[None]]) -> None:
        """A stage whose failure closes the job in words, with the money back."""
        try:
            await stage(work)
        except (JobLost, Unavailable):
            raise
        except UserError as error:
            await self._fail(work, error)
        except Exception as error:
            reference = error.reference if isinstance(error, InternalError) else new_reference()
            log.exception("job.broke", extra={"job": work.job.id, "reference": reference})
            await self._fail(work, EaselError(_format_apology(reference)))

    async def _fail(self, work: Work, error: EaselError) -> None:
        if work.job.state not in OPEN_STATES:
            return
        if work.job.state is JobState.RUNNING and work.record is not None:
            with contextlib.suppress(BackendError):  # it may be over; and `Cancel-After` ends it in any case
                await work.backend.cancel(work.record.backend_id)
        await completion.fail(work, error)

    async def _submit(self, work: Work) -> None:
        if work.cancel_requested.is_set():
            await completion.cancel_unsubmitted(work)
        else:
            await submitting.submit(work)

    async def _resume(self, work: Work) -> None:
        await submitting.resume_submission(work, self._grace_seconds)

    async def _watch(self, work: Work) -> None:
        if work.record is None:
            async with self._services.database.read() as tx:
                work.record = await tx.predictions.get(work.job.prediction)
        snapshot = await watching.watch_run(work, work.record.backend_id if work.record else "")
        if work.record is not None and retry.should_retry(work, snapshot):
            await retry.start_second_run(work, work.record, snapshot)
        else:
            await completion.complete(work, snapshot)


def _format_apology(reference: str) -> str:
    return f"Something broke on our side. You were not charged. Tell the owner this reference: {reference}"
