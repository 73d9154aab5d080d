"""/quota reset: somebody starts anew: today, this month, or without limits of their own."""

from bot.core.invocations import Invocation
from bot.core.people import Rank, User
from bot.core.replies import Reply
from bot.credits.policies import PolicyTarget
from bot.dispatch.declaration import Command, PersonOption, command, option
from bot.dispatch.services import Services


@command("quota reset", rank=Rank.MODERATOR, private=True)
class QuotaReset(Command):
    """Forgive what somebody spent, or take their limits away."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)
    what: str = option("What?", default="today", choices=("today", "month", "limits", "all"))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        person = await services.credits.wallets.find_user(invocation.user, self.user)
        said = []
        if self.what != "limits":
            said.append(await self._forgive(invocation, services, person))
        if self.what in ("limits", "all"):
            said.append(await self._lift(invocation, services, person))
        return Reply(text=" ".join(said), is_private=True)

    async def _forgive(self, invocation: Invocation, services: Services, person: User) -> str:
        with_month = self.what in ("month", "all")
        forgiven = await services.credits.wallets.reset(
            invocation.user, person, with_month=with_month, request_key=invocation.request_key
        )
        span = "This month begins" if with_month else "Today begins"
        return f"{span} anew for {person.name}: {services.credits.formatter.format(forgiven)} credits can be spent again today."

    async def _lift(self, invocation: Invocation, services: Services, person: User) -> str:
        about = PolicyTarget(person.platform, person.workspace, "user", person.id)
        is_set = await services.credits.get_values(about)
        if not is_set:
            return f"{person.name} had no limits of their own."
        await services.credits.change(about, dict.fromkeys(is_set), invocation.user)
        return f"{person.name} has no limits of their own any more."
