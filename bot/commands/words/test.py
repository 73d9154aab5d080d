"""/words test: whether a text would be refused, and for which word."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("words test", rank=Rank.MODERATOR, private=True)
class WordsTest(Command):
    """See whether a text would be refused."""

    text: str = option("Which text?", max_length=4_000, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        word = await services.moderation.find_refused_word(invocation.user, self.text)
        told = f"Refused, for “{word}”." if word is not None else "Let through: no refused word is in it."
        return Reply(text=told, is_private=True)
