"""Forgetting jobs: words, messages and files go, amounts stay. What retention and a person's own wish share."""

from collections.abc import Sequence

from bot.core.jobs import Job
from bot.jobs.work import JobServices

BATCH_SIZE = 100
"""Jobs forgotten in one transaction: others write in between."""


async def forget_jobs(services: JobServices, jobs: Sequence[Job]) -> None:
    """Take the words out of these jobs, then delete the files that nothing shows or needs any more.

    Rows go first: a crash in between leaves a file that retention finds by its age.
    """
    if not jobs:
        return
    async with services.database.write() as tx:
        unused = await tx.erasure.erase_jobs(jobs, services.clock.now())
    for sha256 in unused:
        await services.media.remove(sha256)
