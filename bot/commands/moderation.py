"""/block and /unblock: a moderator refuses a user's requests in the workspace, and allows requests again."""

from bot.core.errors import BadOption, RequestRefused
from bot.core.invocations import Invocation
from bot.core.people import Rank, User
from bot.core.platform_syntax import format_person_link, is_platform_id
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, PersonOption, Services, command, option
from bot.dispatch.workspace_settings import get_settings
from bot.moderation.durations import format_end, parse_end


@command("block", rank=Rank.MODERATOR, private=True)
class Block(Command):
    """Let somebody ask nothing here any more."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)
    until: str = option("Until when? As in 2h, 7d, 2027-03-01. For good if you say nothing.", default="", max_length=40)
    reason: str = option("Why? They read it.", default="", max_length=200)
    stop: bool = option("Stop what they are running?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        user = await _find_user(by, self.user, services)
        if user.id == by.id:
            raise BadOption("You cannot block yourself.", option="user")
        zone = (await get_settings(services, by)).time_zone
        until = parse_end(self.until, services.jobs.now(), zone)
        # A platform marks an administrator only in requests of that administrator: look at the latest job.
        latest = await services.jobs.list_recent(user, 1)
        if latest and latest[0].user.is_administrator:
            raise RequestRefused(f"{user.name} administers this workspace: no block holds against them.")
        await services.moderation.admin.block(by, user, until, self.reason)
        # Cancel after the block: between the two statements the user could start another job.
        count = await self._cancel_jobs(by, user, services) if self.stop else 0
        also = f" Stopped: {count} of theirs." if count else ""
        because = f" They read: “{self.reason}”." if self.reason else ""
        return Reply(text=f"{user.name} is blocked {format_end(until, zone)}.{because}{also}", is_private=True)

    async def _cancel_jobs(self, by: User, user: User, services: Services) -> int:
        return sum([await services.jobs.cancel(job, by) for job in await services.jobs.list_open(user)])


async def _find_user(by: User, name: str, services: Services) -> User:
    """Return a user of this workspace; on a platform with ids also a user without any request so far."""
    try:
        return await services.credits.wallets.find_user(by, name)
    except BadOption:
        if not is_platform_id(by.platform, name):
            raise
    return User(by.platform, by.workspace, name, format_person_link(by.platform, name))


@command("unblock", rank=Rank.MODERATOR, private=True)
class Unblock(Command):
    """Let somebody ask again."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        user = await services.credits.wallets.find_user(invocation.user, self.user)
        if not await services.moderation.admin.unblock(invocation.user, user):
            raise BadOption(f"{user.name} is not blocked here.", option="user")
        return Reply(text=f"{user.name} may ask again.", is_private=True)
