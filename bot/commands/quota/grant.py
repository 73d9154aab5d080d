"""/quota grant: a moderator gives somebody more credits."""

from bot.commands.quota.amounts import MAX_CREDITS, MIN_CREDITS, parse_micros
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, PersonOption, command, option
from bot.dispatch.services import Services


@command("quota grant", rank=Rank.MODERATOR, private=True)
class QuotaGrant(Command):
    """Give somebody extra credits."""

    user: PersonOption = option("To whom? A name or an id.", max_length=100)
    credits: float = option("How many credits?", minimum=MIN_CREDITS, maximum=MAX_CREDITS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        form, wallets = services.credits.formatter, services.credits.wallets
        micros = parse_micros(self.credits, form, "credits")
        to = await wallets.find_user(invocation.user, self.user)
        is_owner = invocation.rank >= Rank.OWNER
        left = await wallets.grant(invocation.user, to, micros, invocation.request_key, is_owner=is_owner)
        text = f"{to.name} got {form.format(micros)} credits, and has {form.format(left)} extra credits now."
        return Reply(text=text, is_private=True)
