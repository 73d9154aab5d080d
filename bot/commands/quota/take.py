"""/quota take: extra credits are taken back, never more than there are."""

from bot.commands.quota.amounts import LEAST_CREDITS, MOST_CREDITS, micros_of
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Person, command, option
from bot.dispatch.services import Services


@command("quota take", rank=Rank.MODERATOR, private=True)
class QuotaTake(Command):
    """Take extra credits back from somebody."""

    user: Person = option("From whom? A name or an id.", max_length=100)
    credits: float = option("How many credits?", minimum=LEAST_CREDITS, maximum=MOST_CREDITS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        form, wallets = services.credits.form, services.credits.wallets
        micros = micros_of(self.credits, form, "credits")
        of = await wallets.person(invocation.user, self.user)
        left = await wallets.take(invocation.user, of, micros, invocation.request_key)
        text = f"Took {form.show(micros)} credits from {of.name}, who has {form.show(left)} extra credits now."
        return Reply(text=text, is_private=True)
