"""/cancel: stop what is running."""

from bot.core.errors import JobNotFound
from bot.core.invocations import Invocation
from bot.core.jobs import Job
from bot.core.people import User
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("cancel", private=True)
class Cancel(Command):
    """Stop your latest job, or the one you name."""

    job: str | None = option("Which job? Your latest if you say nothing.", default=None)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        job = await self._wanted(invocation.user, services)
        if job is None or not await services.jobs.cancel(job, invocation.user):
            raise JobNotFound("That is over already: there is nothing left to stop.")
        return Reply(text=f"Stopping /{job.command} `{job.id}`.", is_private=True)

    async def _wanted(self, user: User, services: Services) -> Job | None:
        if not self.job:
            running = await services.jobs.list_open(user)
            if not running:
                raise JobNotFound("Nothing of yours is running.")
            return running[0]
        job = await services.jobs.get(self.job)
        # Somebody else's job is not told apart from none. Moderators stop it by its own button.
        if job is None or (job.user.platform, job.user.workspace, job.user.id) != (
            user.platform,
            user.workspace,
            user.id,
        ):
            raise JobNotFound(f"You have no job called “{self.job}”. /show lists your latest.")
        return job
