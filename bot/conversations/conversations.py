"""Opening a chat, and the prompt for its next answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.conversations.templates import render
from bot.conversations.trimming import chain, trimmed
from bot.core.clock import Clock
from bot.core.conversations import Conversation, Role, Turn
from bot.core.errors import NoSuchJob
from bot.core.ids import new_id
from bot.core.invocations import Said
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.storage.database import Database

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
    before: tuple[Turn, ...] = ()
    """What was said before the bot came, to be kept when this opens the conversation."""


class Conversations:
    """Chats, one for each channel and thread."""

    def __init__(self, database: Database, system: str, clock: Clock) -> None:
        self._database = database
        self.system = system
        """What a model is told before a conversation, where nobody says otherwise."""
        self._clock = clock

    async def current(self, channel: Channel) -> Conversation | None:
        """The conversation going on in a channel or thread, if any."""
        async with self._database.read() as tx:
            return await tx.conversations.find(channel.platform, channel.workspace, channel.id, channel.thread)

    async def get(self, conversation_id: str) -> Conversation | None:
        """A conversation by its id."""
        async with self._database.read() as tx:
            return await tx.conversations.get(conversation_id)

    async def ask(
        self,
        channel: Channel,
        user: User,
        text: str,
        model: Model,
        *,
        system: str = "",
        usual: str = "",
        max_tokens: int,
        earlier: Sequence[Said] = (),
    ) -> Asked:
        """The next question of a channel's conversation. Nothing is written: a new one opens with its first job.

        A new conversation begins with what was said `earlier`, and is told `system`, or else `usual`.
        """
        if (known := await self.current(channel)) is not None:
            turns = chain(await self._turns(known))
            return self._asked(known, turns, user, text, model, system, max_tokens)
        conversation = self._new(channel, user, model, system or usual or self.system)
        before = self._overheard(conversation, earlier)
        asked = self._asked(conversation, before, user, text, model, system, max_tokens)
        return replace(asked, before=tuple(before))

    async def go_on(
        self, conversation_id: str, job: str, user: User, text: str, model: Model, *, max_tokens: int
    ) -> Asked:
        """A question that follows the answer of one job, whatever was said since.

        Raises `NoSuchJob` when the conversation or the question is gone.
        """
        conversation, turns, question = await self._found(conversation_id, job)
        answer = next((t for t in reversed(turns) if t.job == job and t.role is Role.ASSISTANT), None)
        earlier = [*chain(turns, question.id), *([answer] if answer else [])]
        return self._asked(conversation, earlier, user, text, model, "", max_tokens)

    async def ask_again(
        self, conversation_id: str, job: str, model: Model, *, system: str = "", max_tokens: int
    ) -> Asked:
        """The question that a job answered, to be answered once more beside that answer.

        Raises `NoSuchJob` when the conversation or the question is gone.
        """
        conversation, turns, question = await self._found(conversation_id, job)
        prompt = self._prompt(conversation, chain(turns, question.id), model, system, max_tokens)
        return Asked(conversation, prompt, None, question.id)

    def _overheard(self, conversation: Conversation, earlier: Sequence[Said]) -> list[Turn]:
        """What was said before as turns, each following the one before it, all older than what comes now."""
        turns: list[Turn] = []
        for n, said in enumerate(earlier):
            at = self._clock.now() - timedelta(milliseconds=len(earlier) - n)
            parent = turns[-1].id if turns else ""
            turn = Turn(new_id(), conversation.id, said.role, said.text, at, parent, user=said.user)
            turns.append(replace(turn, platform_message=said.message))
        return turns

    async def _found(self, conversation_id: str, job: str) -> tuple[Conversation, list[Turn], Turn]:
        async with self._database.read() as tx:
            conversation = await tx.conversations.get(conversation_id)
            turns = await tx.conversations.list_turns(conversation_id, TURNS_READ) if conversation else []
        question = _question_of(turns, job)
        if conversation is None or question is None:
            raise NoSuchJob("That question is not kept any more. Please ask it again.")
        return conversation, turns, question

    def _asked(
        self,
        conversation: Conversation,
        earlier: list[Turn],
        user: User,
        text: str,
        model: Model,
        system: str,
        max_tokens: int,
    ) -> Asked:
        who, parent = f"{user.platform}:{user.id}", earlier[-1].id if earlier else ""
        turn = Turn(new_id(), conversation.id, Role.USER, text, self._clock.now(), parent, user=who)
        prompt = self._prompt(conversation, [*earlier, turn], model, system, max_tokens)
        return Asked(conversation, prompt, turn, turn.id)

    def _new(self, channel: Channel, user: User, model: Model, system: str) -> Conversation:
        return Conversation(
            id=new_id(),
            platform=channel.platform,
            workspace=channel.workspace,
            channel=channel.id,
            thread=channel.thread,
            model=model.key,
            system=system,
            starter=f"{user.platform}:{user.id}",
            created_at=self._clock.now(),
        )

    async def _turns(self, conversation: Conversation) -> list[Turn]:
        async with self._database.read() as tx:
            return await tx.conversations.list_turns(conversation.id, TURNS_READ)

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
