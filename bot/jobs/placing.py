"""accepted → queued: the placeholder is posted and its address stored before any money can be spent at a backend."""

from dataclasses import replace

from bot.core.errors import UserError
from bot.core.jobs import JobState, PostedMessage
from bot.core.platform import MessageLost
from bot.core.replies import Progress, Stage
from bot.jobs.closing import fail
from bot.jobs.work import Work
from bot.streaming.editor import counted


async def post_placeholder(work: Work) -> None:
    """Post the placeholder. Where nothing can be posted the job fails and the money goes back."""
    working = work.services.presenter.render_progress(work.job, work.model, Progress(Stage.QUEUED))
    waiting = work.posted[0].ref if work.posted else None
    try:
        with counted(work.platform.name):
            ref = await work.platform.post(replace(work.destination, placeholder=waiting), working)
    except MessageLost as error:
        await fail(work, UserError(str(error) or "I cannot post there."))
        return
    message = PostedMessage(work.job.id, 0, ref)
    async with work.services.database.write() as tx:
        await tx.messages.put(message)
        turn = work.services.queues.slot_for_run(work.job, work.model)
        moved = await work.move(tx, JobState.QUEUED, queue_time=turn.finish_time)
    work.job, work.posted = moved, [message]
