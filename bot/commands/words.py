"""/words: adds, removes, lists and tries the words that a workspace refuses."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Services, command, option

_MAX_SHOWN = 200


@command("words add", rank=Rank.MODERATOR, private=True)
class WordsAdd(Command):
    """Refuse asks with a word in them, however it is written."""

    word: str = option("Which word, words, or pattern such as badger*?", max_length=100, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if await services.moderation.admin.add_word(invocation.user, self.word):
            return Reply(text=f"Asks with “{self.word}” in them are refused from now on.", is_private=True)
        return Reply(text=f"“{self.word}” is refused already.", is_private=True)


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


@command("words list", rank=Rank.MODERATOR, private=True)
class WordsList(Command):
    """List the words that are refused here."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        words = await services.moderation.admin.list_words(invocation.user)
        if not words:
            return Reply(text="No word is refused here. `/words add` adds one.", is_private=True)
        more = f" … and {len(words) - _MAX_SHOWN} more" if len(words) > _MAX_SHOWN else ""
        shown = ", ".join(f"`{word}`" for word in words[:_MAX_SHOWN])
        return Reply(text=f"Refused here: {shown}{more}", is_private=True)


@command("words test", rank=Rank.MODERATOR, private=True)
class WordsTest(Command):
    """See whether a text would be refused."""

    text: str = option("Which text?", max_length=4_000, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        word = await services.moderation.find_refused_word(invocation.user, self.text)
        text = f"Refused, for “{word}”." if word is not None else "Let through: no refused word is in it."
        return Reply(text=text, is_private=True)
