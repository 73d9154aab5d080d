"""Identical requests run once and are paid once: which those are, and whose run a new one shares.

Identical is what has the same model and version, the same inputs, and a seed that the person gave: then one more run
would make the very same. The first one leads: it runs and pays as if it were alone. Who asks the same in the same
workspace meanwhile follows: holds nothing, pays nothing, and ends as the leader does. Where the workspace likes, a
request may also follow one that is over, as long as what it made is kept.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from weakref import WeakValueDictionary

from bot.core.errors import AlreadyLed, Unavailable
from bot.core.jobs import Job
from bot.core.json import fingerprint
from bot.core.models import Model, Task
from bot.core.storage import Transaction

STRANGERS = frozenset({"", "user-installs"})
"""Workspaces whose people have nothing in common: those who brought the bot along themselves, and direct messages."""

_ATTEMPTS = 5


def share_key(job: Job, model: Model, options: Mapping[str, object]) -> str:
    """What identical requests have in common; empty where a request shares with nobody.

    `options` are as the person gave them: a seed of our own making is another one each time.
    """
    is_alone = job.is_private or job.channel.workspace in STRANGERS or model.task is Task.CHAT
    if is_alone or options.get("seed") is None:
        return ""
    return fingerprint(f"{job.user.workspace}\n{model.key}\n{model.ref}\n{model.version}", job.inputs)


async def add(tx: Transaction, job: Job, *, may_reuse: bool, is_kept: Callable[[str], bool]) -> Job:
    """Add a job as it is, or as a follower of the one that leads; gives it as it was added.

    `is_kept` says whether the file of a SHA-256 is there. Raises `DuplicateAsk` or `DuplicatePress`.
    """
    for _ in range(_ATTEMPTS):
        added = await _following(tx, job, may_reuse, is_kept) if job.share_key else job
        with suppress(AlreadyLed):  # another process was faster: its job leads
            await tx.jobs.add(added)
            return added
    raise Unavailable("Many people ask for the very same just now. Please try again in a moment.")


async def _following(tx: Transaction, job: Job, may_reuse: bool, is_kept: Callable[[str], bool]) -> Job:
    free = replace(job, told_about=0, told_at_most=0)
    if (leader := await tx.jobs.leading(job)) is not None:
        return replace(free, shares=leader.id)
    source = await tx.jobs.finished_alike(job) if may_reuse else None
    if source is None or source.is_private:
        return job
    outputs = await tx.outputs.of(source.prediction)
    if not outputs or not all(is_kept(output.sha256) for output in outputs if output.sha256):
        return job
    return replace(free, shares=source.id, prediction=source.prediction, is_reused=True)


class Bells:
    """One for each job of this process that others wait for: rung when it is over, or when one of them is."""

    def __init__(self) -> None:
        self._bells: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    def of(self, job_id: str) -> asyncio.Event:
        """What will be set at the next ring. Take it before you look at what it tells of, and keep it."""
        if (bell := self._bells.get(job_id)) is None:
            bell = self._bells[job_id] = asyncio.Event()
        return bell

    def ring(self, job_id: str) -> None:
        """Wake everybody who waits for news of this job."""
        if (bell := self._bells.pop(job_id, None)) is not None:
            bell.set()
