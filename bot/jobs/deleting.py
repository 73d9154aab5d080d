"""Taking a job's messages away, with its words and the files that nothing else shows. What it cost stays.

Jobs that reuse a result share its run: outputs are deleted with the last of these jobs.
"""

from contextlib import suppress

from bot.core.jobs import Job
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef
from bot.jobs.work import JobServices


async def delete_job(services: JobServices, job: Job, shown_in: MessageRef) -> None:
    """Delete its own messages and `shown_in`, which may be a copy of them, as `/show` makes.

    Messages go first: a crash in between leaves files that nobody sees, and not a message without its pictures.
    """
    async with services.database.read() as tx:
        messages = await tx.messages.list_messages(job.id)
    for ref in (*(message.ref for message in messages), shown_in):
        with suppress(MessageLost):
            await services.platforms[ref.platform].delete(ref)
    async with services.database.write() as tx:
        now = await tx.jobs.get(job.id)
        # What still runs has made nothing yet, and its row says what it runs with.
        is_over = now is not None and now.notified_at is not None
        unused = await tx.erasure.erase_jobs([now], services.clock.now()) if now is not None and is_over else set()
    for sha256 in unused:
        await services.media.remove(sha256)
