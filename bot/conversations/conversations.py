"""Opening a chat, and the prompt for its next answer."""

from dataclasses import dataclass, replace

from bot.conversations.templates import render
from bot.conversations.trimming import chain, trimmed
from bot.core.clock import Clock
from bot.core.conversations import Conversation, Role, Turn
from bot.core.errors import NoSuchJob
from bot.core.ids import new_id
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.core.storage import Database

TURNS_READ = 200
"""How far back a conversation is read; the model's budget usually ends sooner."""

_TEMPLATE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """One question in a conversation, ready to be sent: the prompt, and the turn to keep (None when asked before)."""

    conversation: Conversation
    prompt: str
    turn: Turn | None
    answers: str
    """The id of the turn that the answer follows."""


class Conversations:
    """Chats, one for each channel and thread."""

    def __init__(self, database: Database, system: str, clock: Clock) -> None:
        self._database = database
        self._system = system
        self._clock = clock

    async def current(self, channel: Channel) -> Conversation | None:
        """The conversation going on in a channel or thread, if any."""
        async with self._database.read() as tx:
            return await tx.conversations.in_channel(channel.platform, channel.workspace, channel.id, channel.thread)

    async def ask(
        self, channel: Channel, user: User, text: str, model: Model, *, system: str = "", max_tokens: int
    ) -> Asked:
        """The next question of a channel's conversation, which begins with it if there is none."""
        conversation = await self._opened(channel, user, model, system)
        earlier = chain(await self._turns(conversation))
        parent = earlier[-1].id if earlier else ""
        turn = Turn(
            new_id(), conversation.id, Role.USER, text, self._clock.now(), parent, user=f"{user.platform}:{user.id}"
        )
        prompt = self._prompt(conversation, [*earlier, turn], model, system, max_tokens)
        return Asked(conversation, prompt, turn, turn.id)

    async def ask_again(self, conversation_id: str, job: str, model: Model, *, max_tokens: int) -> Asked:
        """The question that a job answered, to be answered once more beside that answer.

        Raises `NoSuchJob` when the conversation or the question is gone.
        """
        async with self._database.read() as tx:
            conversation = await tx.conversations.get(conversation_id)
            turns = await tx.conversations.turns(conversation_id, TURNS_READ) if conversation else []
        question = _question_of(turns, job)
        if conversation is None or question is None:
            raise NoSuchJob("That question is not kept any more. Please ask it again.")
        prompt = self._prompt(conversation, chain(turns, question.id), model, "", max_tokens)
        return Asked(conversation, prompt, None, question.id)

    async def _opened(self, channel: Channel, user: User, model: Model, system: str) -> Conversation:
        now = self._clock.now()
        new = Conversation(
            id=new_id(),
            platform=channel.platform,
            workspace=channel.workspace,
            channel=channel.id,
            thread=channel.thread,
            model=model.key,
            system=system or self._system,
            starter=f"{user.platform}:{user.id}",
            created_at=now,
        )
        found = await self.current(channel)
        if found is None:
            async with self._database.write() as tx:
                found = await tx.conversations.open(new)
        return replace(found, system=system) if system else found

    async def _turns(self, conversation: Conversation) -> list[Turn]:
        async with self._database.read() as tx:
            return await tx.conversations.turns(conversation.id, TURNS_READ)

    def _prompt(self, conversation: Conversation, turns: list[Turn], model: Model, system: str, max_tokens: int) -> str:
        said = system or conversation.system
        budget = model.context_tokens - max_tokens - len(said.encode()) // 3 - _TEMPLATE_TOKENS
        return render(model.template, said, trimmed(turns, budget))


def _question_of(turns: list[Turn], job: str) -> Turn | None:
    """The person's turn that a job asked, or whose answer the job gave."""
    answers = {turn.id: turn for turn in turns}
    for turn in reversed(turns):
        if turn.job == job:
            return turn if turn.role is Role.USER else answers.get(turn.parent)
    return None
