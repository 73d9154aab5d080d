"""/quota top: who spent the most this month."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.telling import format_job_count
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("quota top", rank=Rank.MODERATOR, private=True)
class QuotaTop(Command):
    """Show who spent the most this month."""

    count: int = option("How many people?", default=10, minimum=1, maximum=50)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        spenders = await services.credits.list_spenders(invocation.user, self.count)
        if not spenders:
            return Reply(text="Nobody spent anything here this month.", is_private=True)
        form = services.credits.formatter
        lines = [
            f"{n}. {spender.name}: **{form.format(spender.spent_micros)}** credits, {format_job_count(spender.jobs)}"
            for n, spender in enumerate(spenders, 1)
        ]
        return Reply(text="\n".join(["Spent this month:", *lines]), is_private=True)
