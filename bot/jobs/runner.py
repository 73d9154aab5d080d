"""Runs one task per job, from any state to the end: new jobs and recovered jobs pass through the same stages."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bot.core.backend import PredictionState
from bot.core.errors import BackendError, EaselError, InternalError, Unavailable, UserError, new_reference
from bot.core.jobs import OPEN_STATES, Job, JobState, PostedMessage
from bot.core.models import Task
from bot.jobs import batches, completion, messages, routing, submitting, watching
from bot.jobs.job_queues import QueueSlot
from bot.jobs.work import JobLost, JobServices, Work
from bot.telemetry import metrics
from bot.telemetry.logs import job_context

log = logging.getLogger(__name__)

DATABASE_RETRY_SECONDS = (0.2, 1.0, 5.0, 15.0)
"""Waits before repeating a stage while the database does not answer; the last wait repeats."""


class Runner:
    """Runs the jobs of this process."""

    def __init__(self, services: JobServices, grace_seconds: float = submitting.GRACE_SECONDS) -> None:
        self._services = services
        self._grace_seconds = grace_seconds
        self._works: dict[str, Work] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._epochs: dict[str, int] = {}

    def launch(self, job: Job, posted: Sequence[PostedMessage] = ()) -> None:
        """Start the task of a job. A job with a task is left alone.

        `posted` are messages of a new job, posted by the platform already.
        """
        previous = self._tasks.get(job.id)
        if previous is not None and self._epochs.get(job.id) == job.epoch:
            return
        # With a higher epoch, another worker had the job meanwhile: the previous task cannot write any more, and
        # the new task ends the previous task first.
        slot = self._create_slot(job)
        task = asyncio.create_task(self._run(job, slot, previous, posted), name=f"job {job.id}")
        self._tasks[job.id], self._epochs[job.id] = task, job.epoch
        task.add_done_callback(lambda done: self._remove_task(job.id, done))
        # In a callback, not in the task: a task cancelled before the first step would keep the place for ever.
        task.add_done_callback(lambda _: slot.leave())

    def cancel(self, job_id: str) -> None:
        """Request the task of a job, if in this process, to stop."""
        if (work := self._works.get(job_id)) is not None:
            work.cancel_requested.set()

    def notify_run_assigned(self, job_id: str) -> None:
        """Wake the task of a job, if in this process, after a webhook bound a run to the unanswered create."""
        if (work := self._works.get(job_id)) is not None:
            work.run_assigned.set()

    def divide_limits(self, worker: str, workers: Sequence[str]) -> None:
        """Divide the models' limits of runs among the living `workers`; `worker` is this process."""
        if worker in workers:
            self._services.queues.set_process_share(workers.index(worker), len(workers))

    def is_working_on(self, job_id: str) -> bool:
        """Return whether a job has a task in this process."""
        return job_id in self._tasks

    @property
    def running_count(self) -> int:
        return len(self._tasks)

    async def drain(self, seconds: float) -> bool:
        """Wait for running jobs; return whether all ended in time."""
        if not self._tasks:
            return True
        _, pending = await asyncio.wait(list(self._tasks.values()), timeout=seconds)
        return not pending

    async def stop(self) -> None:
        """Cancel all tasks. The jobs stay in the states of the rows, and continue after the next start."""
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
        slot = self._services.queues.slot_for_run(job, self._services.catalogue.get(job.model))
        # Recovered jobs join now, not in the tasks: recovery launches jobs in the order of the old queue.
        if job.state is JobState.QUEUED and not job.reuses and not job.batch_jobs:
            slot.join()
        elif job.state in (JobState.SUBMITTING, JobState.RUNNING):
            slot.occupy()
        return slot

    async def _run(
        self, job: Job, slot: QueueSlot, previous: "asyncio.Task[None] | None", posted: Sequence[PostedMessage]
    ) -> None:
        metrics.jobs_open.set(len(self._tasks))
        if previous is not None:
            previous.cancel()
            await asyncio.gather(previous, return_exceptions=True)
        model = self._services.catalogue.get(job.model)
        if job.command == Task.RUN:  # inputs of the model's own schema, which no other server takes
            model = replace(model, fallbacks=())
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
            except Exception:  # the row keeps the job's state, and recovery launches the job again
                log.exception("job.stranded", extra={"job": job.id})
            finally:
                await work.close()

    async def _load_posted_messages(self, work: Work) -> None:
        """Read the posted messages of a recovered job, and the usual time of the model."""
        work.usual_seconds = await self._services.usual_times.get_seconds(work.model)
        if work.job.epoch or work.job.state is not JobState.ACCEPTED:
            async with self._services.database.read() as tx:
                work.posted = await tx.messages.list_messages(work.job.id)

    async def _restore_result(self, work: Work) -> None:
        """Render the result of a job delivered by another worker."""
        # Our last edit may have overwritten the other worker's result.
        with contextlib.suppress(Exception):
            async with self._services.database.read() as tx:
                row, posted = await tx.jobs.get(work.job.id), await tx.messages.list_messages(work.job.id)
            if row is None or row.notified_at is None or row.owner == work.job.owner:
                return
            await work.close()
            delivered = Work(self._services, row, work.model, posted=posted)
            await messages.show_reply(delivered, await messages.render(delivered))

    async def _run_stages(self, work: Work, slot: QueueSlot) -> None:
        """Run each stage when the job reaches the stage's state, until the user has the final message."""
        is_offered = work.job.model in self._services.catalogue and work.job.backend in self._services.backends
        if not is_offered and not work.job.reuses:
            await self._fail(work, UserError(f"{work.job.model} is not offered any more. You were not charged."))
        await self._run_stage(work, messages.post_placeholder, JobState.ACCEPTED)
        if work.job.reuses:
            await self._run_stage(work, completion.finish_reusing_job, JobState.QUEUED)
        elif work.job.batch_jobs:
            await self._run_stage(work, batches.watch, JobState.QUEUED)
        elif work.job.state is JobState.QUEUED:
            await messages.wait_for_slot(work, slot)
        await self._run_stage(work, self._submit, JobState.QUEUED)
        await self._run_until_completed(work, slot)
        slot.leave()
        if work.job.notified_at is None:
            deliver = batches.deliver if work.job.batch_jobs else messages.deliver
            await self._run_stage(work, deliver, work.job.state)

    async def _run_until_completed(self, work: Work, slot: QueueSlot) -> None:
        # A loop: a retried run moves the job from `running` back to `submitting`, once, and so does each next server.
        while work.job.state in (JobState.SUBMITTING, JobState.RUNNING):
            if self._services.queues.move(slot, work.model):
                await messages.wait_for_slot(work, slot)
            await self._run_stage(work, self._resume, JobState.SUBMITTING)
            await self._run_stage(work, self._watch, JobState.RUNNING)

    async def _run_stage(self, work: Work, stage: Callable[[Work], Awaitable[None]], state: JobState) -> None:
        """Run one stage if the job is in the stage's state; repeat the stage while the database is away."""
        # A stage may repeat: the transaction rolled back, or the commit moved the row and `move` raises `JobLost`.
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
        """Run one stage; on error fail the job, release the hold, tell the user."""
        try:
            await stage(work)
        except (JobLost, Unavailable):
            raise
        except UserError as error:
            if not await routing.move_on(work, error):
                await self._fail(work, error)
        except Exception as error:
            reference = error.reference if isinstance(error, InternalError) else new_reference()
            log.exception("job.broke", extra={"job": work.job.id, "reference": reference})
            await self._fail(work, EaselError(_format_apology(reference)))

    async def _fail(self, work: Work, error: EaselError) -> None:
        if work.job.state not in OPEN_STATES:
            return
        if work.job.state is JobState.RUNNING and work.record is not None:
            with contextlib.suppress(BackendError):  # the run may be over, and `Cancel-After` ends the run in any case
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
        if snapshot.state is PredictionState.FAILED and await routing.move_on_after(work, snapshot):
            return
        if work.record is not None and completion.should_retry(work, snapshot):
            await completion.start_second_run(work, work.record, snapshot)
        else:
            await completion.complete(work, snapshot)


def _format_apology(reference: str) -> str:
    return f"Something broke on our side. You were not charged. Tell the owner this reference: {reference}"
