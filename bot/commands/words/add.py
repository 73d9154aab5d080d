"""/words add: a word that nobody may ask for here."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("words add", rank=Rank.MODERATOR, private=True)
class WordsAdd(Command):
    """Refuse asks with a word in them, however it is written."""

    word: str = option("Which word, words, or pattern such as badger*?", max_length=100, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if await services.moderation.admin.add_word(invocation.user, self.word):
            return Reply(text=f"Asks with “{self.word}” in them are refused from now on.", is_private=True)
        return Reply(text=f"“{self.word}” is refused already.", is_private=True)
