"""/quota take: extra credits are taken back, never more than there are."""

from bot.commands.quota.amounts import MAX_CREDITS, MIN_CREDITS, parse_micros
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, PersonOption, command, option
from bot.dispatch.services import Services


@command("quota take", rank=Rank.MODERATOR, private=True)
class QuotaTake(Command):
    """Take extra credits back from somebody."""

    user: PersonOption = option("From whom? A name or an id.", max_length=100)
    credits: float = option("How many credits?", minimum=MIN_CREDITS, maximum=MAX_CREDITS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        form, wallets = services.credits.formatter, services.credits.wallets
        micros = parse_micros(self.credits, form, "credits")
        of = await wallets.find_user(invocation.user, self.user)
        left = await wallets.take(invocation.user, of, micros, invocation.request_key)
        text = f"Took {form.format(micros)} credits from {of.name}, who has {form.format(left)} extra credits now."
        return Reply(text=text, is_private=True)
