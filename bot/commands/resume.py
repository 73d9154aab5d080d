"""/resume: what was paused starts again."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("resume", rank=Rank.OWNER, private=True)
class Resume(Command):
    """Start again what was paused, or list it."""

    what: str = option("What? A list of what is paused if you say nothing.", default="", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        desk = services.moderation.admin
        pauses = {what.rpartition(":")[2]: (what, reason) for what, reason in (await desk.list_pauses()).items()}
        if not self.what:
            return Reply(text=_format_pauses({name: reason for name, (_, reason) in pauses.items()}), is_private=True)
        paused = pauses.get(self.what.strip().lower())
        if paused is None:
            raise BadOption(f"“{self.what}” is not paused. /resume alone lists what is.", option="what")
        await desk.pause(invocation.user, paused[0], None)
        return Reply(text=f"`{self.what}` starts again.", is_private=True)


def _format_pauses(pauses: dict[str, str]) -> str:
    if not pauses:
        return "Nothing is paused."
    return "\n".join(f"- `{name}`{f': {reason}' if reason else ''}" for name, reason in sorted(pauses.items()))
