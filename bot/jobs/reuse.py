"""Answer a request from the kept result of an identical finished request, where the workspace's setting `reuse` allows.

Requests are identical when model, version and inputs are the same and the user gave the seed: another run would make
the same picture. A reusing job holds, costs and runs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from bot.core.jobs import Job
from bot.core.json import fingerprint
from bot.core.models import Model, Task
from bot.jobs.completion import cancel_unsubmitted, finish_free
from bot.jobs.work import Work
from bot.storage.database import Transaction

UNRELATED_WORKSPACES = frozenset({"", "user-installs"})
"""Direct messages and user installs: the people there have no workspace in common."""


def reuse_key(job: Job, model: Model, options: Mapping[str, object]) -> str:
    """Return the key shared by identical requests of a workspace; empty where a result must not be reused.

    `options` are as the user gave them: a seed chosen by the bot differs each time.
    """
    is_personal = job.is_private or job.channel.workspace in UNRELATED_WORKSPACES or model.task is Task.CHAT
    if is_personal or options.get("seed") is None:
        return ""
    return fingerprint(f"{job.user.workspace}\n{model.key}\n{model.ref}\n{model.version}", job.inputs)


async def apply_kept_result(tx: Transaction, job: Job, is_kept: Callable[[str], bool]) -> Job:
    """Return the job with the run of an identical finished job and a price of 0, or unchanged without a kept result.

    `is_kept` tells whether the file of a SHA-256 exists.
    """
    source = await tx.jobs.find_reusable(job) if job.reuse_key else None
    if source is None or source.is_private:
        return job
    outputs = await tx.outputs.list_outputs(source.prediction)
    if not outputs or not all(is_kept(output.sha256) for output in outputs if output.sha256):
        return job
    return replace(job, estimate_micros=0, max_micros=0, reuses=source.id, prediction=source.prediction)


async def finish_reusing_job(work: Work) -> None:
    """End a reusing job, queued → finished or cancelled: the outputs of the prediction exist already."""
    if work.cancel_requested.is_set():
        await cancel_unsubmitted(work)
    else:
        await finish_free(work)
