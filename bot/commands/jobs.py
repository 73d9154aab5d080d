"""/jobs, /show, /undo and /cancel: list open jobs, show a job again, go back to the picture before, stop a job."""

from bot.core.errors import BadOption, JobNotFound
from bot.core.file_types import MediaKind
from bot.core.invocations import Invocation
from bot.core.jobs import Job, JobState
from bot.core.models import Task
from bot.core.people import Rank, User
from bot.core.replies import Button, Picture, Reply
from bot.core.text import sanitize_text
from bot.dispatch.declaration import Command, Services, command, option
from bot.jobs.jobs import Ancestor

_MAX_SHOWN = 20
_MAX_BUTTONS = 10


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
        # A job beyond the shown ones tells whether to add "… and more".
        jobs = await services.jobs.list_open_in_workspace(invocation.user, _MAX_SHOWN + 1)
        if not jobs:
            return Reply(text="Nothing runs or waits in this workspace.", is_private=True)
        lines = [await _format_open_job(n, job, services) for n, job in enumerate(jobs[:_MAX_SHOWN], 1)]
        more = ["… and more. These were asked first."] if len(jobs) > _MAX_SHOWN else []
        buttons = [Button("cancel", f"Stop {n}", job.id, n) for n, job in enumerate(jobs[:_MAX_BUTTONS], 1)]
        return Reply(text="\n".join([*lines, *more]), buttons=tuple(buttons), is_private=True)

    async def _cancel(self, by: User, services: Services) -> Reply:
        if not self.job:
            raise BadOption("job is missing: Which one is to be cancelled? /jobs lists them.", option="job")
        job = await services.jobs.find(by, self.job)
        # The same error for another workspace's job: an id must not reveal whether the job exists.
        if job is None or (job.user.platform, job.user.workspace) != (by.platform, by.workspace):
            raise JobNotFound(f"There is no job called “{self.job}” in this workspace. /jobs lists them.")
        if not await services.jobs.cancel(job, by):
            raise JobNotFound("That is over already: there is nothing left to stop.")
        return Reply(text=f"Stopping /{job.command} `{job.id}` of {job.user.name}.", is_private=True)


async def _format_open_job(n: int, job: Job, services: Services) -> str:
    text = job.request_text
    is_private = job.is_private or await services.jobs.is_in_private_thread(job)
    words = "a private ask" if is_private else f"“{text[:60]}{'…' if len(text) > 60 else ''}”"
    minutes, seconds = divmod(max(int((services.jobs.now() - job.created_at).total_seconds()), 0), 60)
    span = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    state = "runs" if job.state is JobState.RUNNING else "waits"
    price = f"at most {services.credits.formatter.format_amount(job.max_micros)}"
    title = services.catalogue.get(job.model).title
    # A mark of direction in a person's words would turn the price and the id around for the moderator.
    asked = sanitize_text(f"{job.user.name}: /{job.command} {words}")
    return f"{n}. {asked} · {title} · {state}, {span} · {price} · `{job.id}`"


_STATES = {JobState.DELIVERED: "done", JobState.UNDELIVERABLE: "done, but could not be shown"}
"""States with another name in replies."""


@command("show", private=True)
class Show(Command):
    """Show a job again, or list your latest."""

    job: str | None = option("Which job? Your latest ten if you say nothing.", default=None)
    ancestors: bool = option("The pictures that its picture came from?", default=False)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.ancestors:
            return await self._show_ancestors(invocation, services)
        if not self.job:
            return _format_list(await services.jobs.list_recent(invocation.user))
        job = await services.jobs.find(invocation.user, self.job)
        if job is None or not await services.jobs.is_visible(job, invocation.user, invocation.channel):
            raise JobNotFound(f"There is no job called “{self.job}” that you can see here.")
        return await services.jobs.render(job)

    async def _show_ancestors(self, invocation: Invocation, services: Services) -> Reply:
        """Return one picture with the ancestors of a picture and the picture itself, numbered, and the words."""
        user, channel = invocation.user, invocation.channel
        job = await _find_picture_job(self.job, invocation, services)
        shown = await services.jobs.list_ancestors(job, user, channel)
        if not shown:
            raise JobNotFound("That picture came from no other: it is the first of its line.")
        made = [output for output in await services.jobs.list_outputs(job) if output.kind is MediaKind.PICTURE]
        shown += [Ancestor(job, output) for output in made[:1]]
        sheet = await services.media.keep_contact_sheet([one.output.sha256 for one in shown])
        lines = [_format_ancestor(n, one.job, services) for n, one in enumerate(shown, 1)]
        picture = Picture(
            *(sheet.sha256, sheet.mime, sheet.width, sheet.height),
            alt=f"{len(shown)} pictures in the order of the changes, numbered",
            name=f"line-of-{job.id[:8]}.jpg",
            is_flagged=any(one.output.is_flagged for one in shown),
            n=0,
        )
        buttons = tuple(Button("show", f"Show {n}", one.job.id, n) for n, one in enumerate(shown, 1))
        return Reply("\n".join(lines), (picture,), buttons=buttons, is_private=True)


async def _find_picture_job(name: str | None, invocation: Invocation, services: Services) -> Job:
    """Return the named job, or the last with a picture in the place. Raise `JobNotFound` for a job out of sight."""
    user, channel = invocation.user, invocation.channel
    job = await (services.jobs.find(user, name) if name else services.jobs.find_last_picture(user, channel))
    if job is None or not await services.jobs.is_visible(job, user, channel):
        which = f"called “{name}” that you can see here" if name else "with a picture here"
        raise JobNotFound(f"There is no job {which}: /show lists your latest.")
    return job


def _format_ancestor(n: int, job: Job, services: Services) -> str:
    text = " ".join(job.request_text.split())
    words = sanitize_text(f"/{job.command} {text if len(text) <= 200 else f'{text[:199]}…'}".strip())
    return f"{n}. {words} · {services.catalogue.get(job.model).title}"


def _format_list(jobs: list[Job]) -> Reply:
    if not jobs:
        return Reply(text="You have not asked for anything yet. Try `/imagine a lighthouse at dusk`.", is_private=True)
    lines = [
        f"- `{job.id}` {f'/{job.command} {_shorten_request(job)}'.strip()} · {_STATES.get(job.state, job.state)}"
        for job in jobs
    ]
    return Reply(text="\n".join(["Your latest jobs:", *lines]), is_private=True)


def _shorten_request(job: Job) -> str:
    text = job.request_text
    return text if len(text) <= 60 else f"{text[:57]}…"


@command("undo", task=Task.EDIT)
class Undo(Command):
    """Go back to the picture before the last change, for nothing."""

    job: str | None = option("Which picture's job? The last picture here if you say nothing.", default=None)

    async def answer(self, invocation: Invocation, services: Services) -> None:
        await services.jobs.undo(invocation, await _find_picture_job(self.job, invocation, services))


@command("cancel", private=True)
class Cancel(Command):
    """Stop your latest job, or the one you name."""

    job: str | None = option("Which job? Your latest if you say nothing.", default=None)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        job = await self._find_job(invocation.user, services)
        if job is None or not await services.jobs.cancel(job, invocation.user):
            raise JobNotFound("That is over already: there is nothing left to stop.")
        return Reply(text=f"Stopping /{job.command} `{job.id}`.", is_private=True)

    async def _find_job(self, user: User, services: Services) -> Job | None:
        if not self.job:
            jobs = await services.jobs.list_open(user)
            if not jobs:
                raise JobNotFound("Nothing of yours is running.")
            return next((job for job in jobs if not job.batch_id), jobs[0])
        job = await services.jobs.find(user, self.job)
        # The same error for another user's job: moderators have /jobs cancel.
        if job is None or (job.user.platform, job.user.workspace, job.user.id) != (
            user.platform,
            user.workspace,
            user.id,
        ):
            raise JobNotFound(f"You have no job called “{self.job}”. /show lists your latest.")
        return job
