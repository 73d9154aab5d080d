"""/show: any job again, with living buttons."""

from bot.core.errors import JobNotFound
from bot.core.invocations import Invocation
from bot.core.jobs import Job, JobState
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.presses import is_job_visible
from bot.dispatch.services import Services

_STATES = {JobState.DELIVERED: "done", JobState.UNDELIVERABLE: "done, but could not be shown"}
"""What people would not call by the name it has here."""


@command("show", private=True)
class Show(Command):
    """Show a job again, or list your latest."""

    job: str | None = option("Which job? Your latest ten if you say nothing.", default=None)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if not self.job:
            return _format_list(await services.jobs.list_recent(invocation.user))
        job = await services.jobs.get(self.job)
        if job is None or not is_job_visible(job, invocation.user, invocation.channel):
            raise JobNotFound(f"There is no job called “{self.job}” that you can see here.")
        return await services.jobs.render(job)


def _format_list(jobs: list[Job]) -> Reply:
    if not jobs:
        return Reply(text="You have not asked for anything yet. Try `/imagine a lighthouse at dusk`.", is_private=True)
    lines = [
        f"- `{job.id}` {f'/{job.command} {_shorten_request(job)}'.strip()} · {_STATES.get(job.state, job.state)}"
        for job in jobs
    ]
    return Reply(text="\n".join(["Your latest jobs:", *lines]), is_private=True)


def _shorten_request(job: Job) -> str:
    words = str(job.options.get("prompt") or job.options.get("message") or job.options.get("question") or "")
    return words if len(words) <= 60 else f"{words[:57]}…"
