"""/unblock: somebody may ask again."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, PersonOption, command, option
from bot.dispatch.services import Services


@command("unblock", rank=Rank.MODERATOR, private=True)
class Unblock(Command):
    """Let somebody ask again."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        whom = await services.credits.wallets.find_user(invocation.user, self.user)
        if not await services.moderation.admin.unblock(invocation.user, whom):
            raise BadOption(f"{whom.name} is not blocked here.", option="user")
        return Reply(text=f"{whom.name} may ask again.", is_private=True)
