"""/words list: what may not be asked for here."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command
from bot.dispatch.services import Services

MAX_SHOWN = 200


@command("words list", rank=Rank.MODERATOR, private=True)
class WordsList(Command):
    """List the words that are refused here."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        words = await services.moderation.admin.list_words(invocation.user)
        if not words:
            return Reply(text="No word is refused here. `/words add` adds one.", is_private=True)
        more = f" … and {len(words) - MAX_SHOWN} more" if len(words) > MAX_SHOWN else ""
        shown = ", ".join(f"`{word}`" for word in words[:MAX_SHOWN])
        return Reply(text=f"Refused here: {shown}{more}", is_private=True)
