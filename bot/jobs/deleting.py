"""Taking a job's messages away, with the files that nothing else shows. The job's row and its money stay."""

from contextlib import suppress

from bot.core.jobs import Job
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef
from bot.core.storage import Transaction
from bot.jobs.work import Parts


async def delete(parts: Parts, job: Job, shown_in: MessageRef) -> None:
    """Delete its own messages and `shown_in`, which may be a copy of them, as `/show` makes.

    Messages go first: a crash in between leaves files that nobody sees, and not a message without its pictures.
    """
    async with parts.database.read() as tx:
        messages = await tx.messages.of(job.id)
    for ref in (*(message.ref for message in messages), shown_in):
        with suppress(MessageLost):
            await parts.platforms[ref.platform].delete(ref)
    async with parts.database.write() as tx:
        unused = await _forget_outputs(tx, job)
    for sha256 in unused:
        await parts.media.remove(sha256)


async def _forget_outputs(tx: Transaction, job: Job) -> set[str]:
    """Forget what only this job has; gives the files that nothing shows any more."""
    unused = set()
    for output in await tx.outputs.of(job.prediction) if job.prediction else ():
        having = await tx.outputs.with_sha256(output.sha256)
        if all(owner == job.id for _, owner in having):
            await tx.outputs.remove(output.prediction, output.n)
            unused |= {output.sha256} - {""}
    return unused
