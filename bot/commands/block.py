"""/block: somebody may ask nothing here, until when a moderator says."""

from bot.core.errors import BadOption, Refused
from bot.core.invocations import Invocation
from bot.core.naming import is_an_id, person_linked
from bot.core.people import Rank, User
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Person, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import settings_of
from bot.moderation.spans import end_told, until_when


@command("block", rank=Rank.MODERATOR, private=True)
class Block(Command):
    """Let somebody ask nothing here any more."""

    user: Person = option("Whom? A name or an id.", max_length=100)
    until: str = option("Until when? As in 2h, 7d, 2027-03-01. For good if you say nothing.", default="", max_length=40)
    reason: str = option("Why? They read it.", default="", max_length=200)
    stop: bool = option("Stop what they are running?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        whom = await _found(by, self.user, services)
        if whom.id == by.id:
            raise BadOption("You cannot block yourself.", option="user")
        zone = (await settings_of(services, by)).time_zone
        until = until_when(self.until, services.jobs.now(), zone)
        latest = await services.jobs.recent(whom, 1)
        if latest and latest[0].user.is_administrator:
            raise Refused(f"{whom.name} administers this workspace: no block holds against them.")
        await services.moderation.desk.block(by, whom, until, self.reason)
        stopped = await self._stop(by, whom, services) if self.stop else 0
        also = f" Stopped: {stopped} of theirs." if stopped else ""
        because = f" They read: “{self.reason}”." if self.reason else ""
        return Reply(text=f"{whom.name} is blocked {end_told(until, zone)}.{because}{also}", is_private=True)

    async def _stop(self, by: User, whom: User, services: Services) -> int:
        return sum([await services.jobs.cancel(job, by) for job in await services.jobs.open(whom)])


async def _found(by: User, name: str, services: Services) -> User:
    """Somebody of this workspace; also somebody who was never here, where the platform gives ids."""
    try:
        return await services.credits.wallets.person(by, name)
    except BadOption:
        if not is_an_id(by.platform, name):
            raise
    return User(by.platform, by.workspace, name, person_linked(by.platform, name))
