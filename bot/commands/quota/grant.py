"""/grant: a moderator gives somebody more credits."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services

MOST_CREDITS = 1_000_000


@command("grant", rank=Rank.MODERATOR, private=True)
class Grant(Command):
    """Give somebody extra credits."""

    user: str = option("To whom? A name or an id.", max_length=100)
    credits: float = option("How many credits?", minimum=0.1, maximum=MOST_CREDITS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        form = services.credits.form
        name = self.user.removeprefix("@")
        _, left = await services.credits.grant(invocation.user, name, form.micros(self.credits), invocation.request_key)
        given = form.show(form.micros(self.credits))
        return Reply(text=f"{name} got {given} credits, and has {form.show(left)} extra credits now.", is_private=True)
