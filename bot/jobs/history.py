"""What is known of one job afterwards: its steps with their times, its run, its outputs, and its rows of money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.jobs import Job, JobState, Output, PredictionRecord
from bot.core.money import Entry
from bot.storage.database import Database


@dataclass(frozen=True, slots=True)
class JobHistory:
    """Everything the database says about a job, at one moment."""

    job: Job
    steps: Sequence[tuple[JobState, datetime]]
    prediction: PredictionRecord | None
    outputs: Sequence[Output]
    entries: Sequence[Entry]
    """The rows of the ledger that belong to it, oldest first."""


async def load_job_history(database: Database, job_id: str) -> JobHistory | None:
    """Read in one transaction; None for an unknown job."""
    async with database.read() as tx:
        job = await tx.jobs.get(job_id)
        if job is None:
            return None
        return JobHistory(
            job=job,
            steps=await tx.jobs.list_steps(job.id),
            prediction=await tx.predictions.get(job.prediction) if job.prediction else None,
            outputs=await tx.outputs.list_outputs(job.prediction) if job.prediction else (),
            entries=await tx.ledger.list_job_entries(job.id),
        )
