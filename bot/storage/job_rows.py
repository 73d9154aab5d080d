"""Converts jobs to rows of the table `jobs` and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa

from bot.core.jobs import Job, JobState
from bot.core.json import JSON
from bot.core.people import Channel, User


class JobChanges(TypedDict, total=False):
    """The fields of a job that may change together with the state."""

    prediction: str
    cost_micros: int | None
    error: str
    attempts: int
    run_after: datetime | None
    notified_at: datetime | None
    conversation: str
    queue_time: float | None
    model: str
    backend: str
    inputs: Mapping[str, JSON]


def format_step(state: JobState, at: datetime) -> str:
    """Format a reached state as one line of the column `steps`."""
    return f"{state.value} {at.isoformat()}\n"


def row_from_job(job: Job) -> dict[str, Any]:
    """Give the column values of a new job."""
    return {
        "id": job.id,
        "request_key": job.request_key,
        "press_key": job.press_key,
        "parent_job": job.parent_job,
        "platform": job.channel.platform,
        "workspace": job.channel.workspace,
        "channel": job.channel.id,
        "thread": job.channel.thread,
        "is_age_restricted": job.channel.is_age_restricted,
        "is_reply_chain": job.channel.is_reply_chain,
        "user": job.user.id,
        "user_workspace": job.user.workspace,
        "user_name": job.user.name,
        "locale": job.user.locale,
        "roles": sorted(job.user.roles),
        "is_administrator": job.user.is_administrator,
        "command": job.command,
        "options": dict(job.options),
        "model": job.model,
        "backend": job.backend,
        "inputs": dict(job.inputs),
        "prediction": job.prediction,
        "conversation": job.conversation,
        "state": job.state.value,
        "is_private": job.is_private,
        "estimate_micros": job.estimate_micros,
        "max_micros": job.max_micros,
        "cost_micros": job.cost_micros,
        "weight": job.weight,
        "queue_time": job.queue_time,
        "reuse_key": job.reuse_key,
        "reuses": job.reuses,
        "owner": job.owner,
        "epoch": job.epoch,
        "attempts": job.attempts,
        "run_after": job.run_after,
        "cancel_by": job.cancel_by,
        "error": job.error,
        "notified_at": job.notified_at,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "steps": format_step(job.state, job.created_at),
    }


def job_from_row(row: sa.Row[Any]) -> Job:
    """Give the job of a row."""
    return Job(
        id=row.id,
        request_key=row.request_key,
        press_key=row.press_key,
        parent_job=row.parent_job,
        user=User(
            platform=row.platform,
            workspace=row.user_workspace,
            id=row.user,
            name=row.user_name,
            locale=row.locale,
            roles=frozenset(row.roles),
            is_administrator=row.is_administrator,
        ),
        channel=Channel(
            row.platform, row.workspace, row.channel, row.thread, row.is_age_restricted, row.is_reply_chain
        ),
        command=row.command,
        options=row.options,
        model=row.model,
        backend=row.backend,
        inputs=row.inputs,
        prediction=row.prediction,
        conversation=row.conversation,
        state=JobState(row.state),
        is_private=row.is_private,
        estimate_micros=row.estimate_micros,
        max_micros=row.max_micros,
        cost_micros=row.cost_micros,
        weight=row.weight,
        queue_time=row.queue_time,
        reuse_key=row.reuse_key,
        reuses=row.reuses,
        owner=row.owner,
        epoch=row.epoch,
        attempts=row.attempts,
        run_after=row.run_after,
        cancel_by=row.cancel_by,
        error=row.error,
        notified_at=row.notified_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
