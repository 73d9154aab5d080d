"""/jobs: what runs and waits in this workspace, to be looked at and stopped by moderators."""

from bot.core.errors import BadOption, JobNotFound
from bot.core.invocations import Invocation
from bot.core.jobs import Job, JobState
from bot.core.people import Rank, User
from bot.core.replies import Button, Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services

MAX_SHOWN = 20
MAX_BUTTONS = 10


@command("jobs", rank=Rank.MODERATOR, private=True)
class WorkspaceJobs(Command):
    """List what runs and waits in this workspace, or stop one of it."""

    verb: str = option("List them, or cancel one?", default="list", choices=("list", "cancel"))
    job: str | None = option("Which one is to be cancelled?", default=None, max_length=40)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.verb == "cancel":
            return await self._cancel(invocation.user, services)
        if self.job is not None:
            raise BadOption(f"/jobs cancel {self.job} stops it.", option="verb")
        jobs = await services.jobs.list_open_in_workspace(invocation.user, MAX_SHOWN + 1)
        if not jobs:
            return Reply(text="Nothing runs or waits in this workspace.", is_private=True)
        lines = [_format_line(n, job, services) for n, job in enumerate(jobs[:MAX_SHOWN], 1)]
        more = ["… and more. These were asked first."] if len(jobs) > MAX_SHOWN else []
        buttons = [Button("cancel", f"Stop {n}", job.id, n) for n, job in enumerate(jobs[:MAX_BUTTONS], 1)]
        return Reply(text="\n".join([*lines, *more]), buttons=tuple(buttons), is_private=True)

    async def _cancel(self, by: User, services: Services) -> Reply:
        if not self.job:
            raise BadOption("job is missing: Which one is to be cancelled? /jobs lists them.", option="job")
        job = await services.jobs.get(self.job)
        # A job of another workspace is not told apart from none.
        if job is None or (job.user.platform, job.user.workspace) != (by.platform, by.workspace):
            raise JobNotFound(f"There is no job called “{self.job}” in this workspace. /jobs lists them.")
        if not await services.jobs.cancel(job, by):
            raise JobNotFound("That is over already: there is nothing left to stop.")
        return Reply(text=f"Stopping /{job.command} `{job.id}` of {job.user.name}.", is_private=True)


def _format_line(n: int, job: Job, services: Services) -> str:
    words = str(job.options.get("prompt") or job.options.get("message") or job.options.get("question") or "")
    words = "a private ask" if job.is_private else f"“{words[:60]}{'…' if len(words) > 60 else ''}”"
    minutes, seconds = divmod(max(int((services.jobs.now() - job.created_at).total_seconds()), 0), 60)
    span = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    state = "runs" if job.state is JobState.RUNNING else "waits"
    price = f"at most {services.credits.formatter.format(job.max_micros)} credits"
    title = services.catalogue.get(job.model).title
    return f"{n}. {job.user.name}: /{job.command} {words} · {title} · {state}, {span} · {price} · `{job.id}`"
