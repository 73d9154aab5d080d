"""/words remove: a word that may be asked for again."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("words remove", rank=Rank.MODERATOR, private=True)
class WordsRemove(Command):
    """Let a word through again."""

    word: str = option("Which one? As in /words list.", max_length=100, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if not await services.moderation.admin.remove_word(invocation.user, self.word):
            raise BadOption(
                f"“{self.word}” is not among this workspace's words. /words list shows them.", option="word"
            )
        return Reply(text=f"“{self.word}” may be asked for again.", is_private=True)
