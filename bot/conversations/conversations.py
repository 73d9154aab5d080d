"""Opening a chat, and the prompt for its next answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.conversations.prompts import chain_turns, render_prompt, trim_turns
from bot.core.clock import Clock
from bot.core.errors import JobNotFound
from bot.core.ids import new_id
from bot.core.invocations import Conversation, EarlierMessage, Turn, TurnRole
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.storage.database import Database

MAX_TURNS_READ = 200
"""How far back a conversation is read; the model's budget usually ends sooner."""

_TEMPLATE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Question:
    """One question in a conversation, ready to be sent: the prompt, and the turn to keep (None when asked before)."""

    conversation: Conversation
    prompt: str
    turn: Turn | None
    parent_turn: str
    """The id of the turn that the answer follows."""
    earlier_turns: tuple[Turn, ...] = ()
    """What was said before the bot came, to be kept when this opens the conversation."""


class Conversations:
    """Chats, one for each channel and thread."""

    def __init__(self, database: Database, system: str, clock: Clock) -> None:
        self._database = database
        self.system_prompt = system
        """What a model is told before a conversation, where nobody says otherwise."""
        self._clock = clock

    async def get_current(self, channel: Channel) -> Conversation | None:
        """The conversation going on in a channel or thread, if any."""
        async with self._database.read() as tx:
            place = (channel.platform, channel.workspace, channel.id, channel.thread)
            return await tx.conversations.find(*place, is_reply_chain=channel.is_reply_chain)

    async def get(self, conversation_id: str) -> Conversation | None:
        """A conversation by its id."""
        async with self._database.read() as tx:
            return await tx.conversations.get(conversation_id)

    async def build_question(
        self,
        channel: Channel,
        user: User,
        text: str,
        model: Model,
        *,
        system: str = "",
        default_system: str = "",
        max_tokens: int,
        earlier: Sequence[EarlierMessage] = (),
    ) -> Question:
        """The next question of a channel's conversation. Nothing is written: a new one opens with its first job.

        A new conversation begins with what was said `earlier`, and is told `system`, or else `usual`.
        """
        if (known := await self.get_current(channel)) is not None:
            turns = chain_turns(await self._load_turns(known))
            return self._append_question(known, turns, user, text, model, system, max_tokens)
        conversation = self._build_conversation(channel, user, model, system or default_system or self.system_prompt)
        before = self._build_earlier_turns(conversation, earlier)
        asked = self._append_question(conversation, before, user, text, model, system, max_tokens)
        return replace(asked, earlier_turns=tuple(before))

    async def build_follow_up(
        self, conversation_id: str, job: str, user: User, text: str, model: Model, *, max_tokens: int
    ) -> Question:
        """A question that follows the answer of one job, whatever was said since.

        Raises `NoSuchJob` when the conversation or the question is gone.
        """
        conversation, turns, question = await self._load_question(conversation_id, job)
        answer = next((t for t in reversed(turns) if t.job == job and t.role is TurnRole.ASSISTANT), None)
        earlier = [*chain_turns(turns, question.id), *([answer] if answer else [])]
        return self._append_question(conversation, earlier, user, text, model, "", max_tokens)

    async def build_regeneration(
        self, conversation_id: str, job: str, model: Model, *, system: str = "", max_tokens: int
    ) -> Question:
        """The question that a job answered, to be answered once more beside that answer.

        Raises `NoSuchJob` when the conversation or the question is gone.
        """
        conversation, turns, question = await self._load_question(conversation_id, job)
        prompt = self._build_prompt(conversation, chain_turns(turns, question.id), model, system, max_tokens)
        return Question(conversation, prompt, None, question.id)

    def _build_earlier_turns(self, conversation: Conversation, earlier: Sequence[EarlierMessage]) -> list[Turn]:
        """What was said before as turns, each following the one before it, all older than what comes now."""
        turns: list[Turn] = []
        for n, said in enumerate(earlier):
            at = self._clock.now() - timedelta(milliseconds=len(earlier) - n)
            parent = turns[-1].id if turns else ""
            turn = Turn(new_id(), conversation.id, said.role, said.text, at, parent, user=said.user)
            turns.append(replace(turn, platform_message=said.message_id))
        return turns

    async def _load_question(self, conversation_id: str, job: str) -> tuple[Conversation, list[Turn], Turn]:
        async with self._database.read() as tx:
            conversation = await tx.conversations.get(conversation_id)
            turns = await tx.conversations.list_turns(conversation_id, MAX_TURNS_READ) if conversation else []
        question = _find_question(turns, job)
        if conversation is None or question is None:
            raise JobNotFound("That question is not kept any more. Please ask it again.")
        return conversation, turns, question

    def _append_question(
        self,
        conversation: Conversation,
        earlier: list[Turn],
        user: User,
        text: str,
        model: Model,
        system: str,
        max_tokens: int,
    ) -> Question:
        who, parent = f"{user.platform}:{user.id}", earlier[-1].id if earlier else ""
        turn = Turn(new_id(), conversation.id, TurnRole.USER, text, self._clock.now(), parent, user=who)
        prompt = self._build_prompt(conversation, [*earlier, turn], model, system, max_tokens)
        return Question(conversation, prompt, turn, turn.id)

    def _build_conversation(self, channel: Channel, user: User, model: Model, system: str) -> Conversation:
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
            is_reply_chain=channel.is_reply_chain,
        )

    async def _load_turns(self, conversation: Conversation) -> list[Turn]:
        async with self._database.read() as tx:
            return await tx.conversations.list_turns(conversation.id, MAX_TURNS_READ)

    def _build_prompt(
        self, conversation: Conversation, turns: list[Turn], model: Model, system: str, max_tokens: int
    ) -> str:
        said = system or conversation.system
        budget = model.context_tokens - max_tokens - len(said.encode()) // 3 - _TEMPLATE_TOKENS
        return render_prompt(model.template, said, trim_turns(turns, budget))


def _find_question(turns: list[Turn], job: str) -> Turn | None:
    """The person's turn that a job asked, or whose answer the job gave."""
    answers = {turn.id: turn for turn in turns}
    for turn in reversed(turns):
        if turn.job == job:
            return turn if turn.role is TurnRole.USER else answers.get(turn.parent)
    return None
