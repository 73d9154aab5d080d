"""Finds and opens conversations, puts the next question in its place, and renders a question for a model.

A prompt is built of the newest turns within the model's budget, in the model's template, made harmless.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil

from bot.conversations.tools import NO_INSTRUCTIONS, build_tool_schemas, describe_tools
from bot.core.clock import Clock
from bot.core.errors import BadOption, JobNotFound
from bot.core.ids import new_id, new_ordered_id
from bot.core.invocations import Conversation, EarlierMessage, Turn, TurnRole
from bot.core.jobs import Job, JobState
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.people import Channel, User, parse_author
from bot.core.text import neutralise_control_tokens
from bot.storage.database import Database

MAX_TURNS_READ = 200
"""The latest turns read for a prompt; the model's context usually holds fewer."""

SUMMARY_REQUEST = (
    "Summarise our conversation so far in at most 400 words, for yourself: names, facts, decisions, open questions. "
    "The conversation goes on from the summary."
)
SUMMARY_TOKENS = 1_024
_FULL_SHARE = 0.6
"""The share of a context, or of the turns read, from which on a conversation is summarised: all turns still fit."""

_LEAST_SUMMARISED_TURNS = 4

_WHOLE_STATES = (JobState.FINISHED, JobState.DELIVERED, JobState.UNDELIVERABLE)

_TEMPLATE_TOKENS = 64
"""Tokens added around the turns by a prompt template."""

_DEFAULT_CONTEXT_TOKENS = 8192
"""For a model whose catalogue entry names no context."""


@dataclass(frozen=True, slots=True)
class Past:
    """A stored conversation with its latest turns, read at one moment."""

    conversation: Conversation
    turns: Sequence[Turn]
    """Oldest first."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A question in its place in a conversation, not rendered for a model yet."""

    conversation: Conversation
    turns: Sequence[Turn]
    """The turns before the question, and the question at the end."""
    is_stored: bool = False
    """Whether the question is stored already, as for a regeneration."""
    is_opening: bool = False
    """Whether the conversation is new, and stored with the question."""
    opening_count: int = 0
    """The number of turns at the beginning that are stored with the question: messages from before the bot joined."""

    @property
    def question(self) -> Turn:
        return self.turns[-1]

    def show(self, files: Mapping[str, tuple[str, ...]]) -> "Draft":
        """Return the draft with the files that turns show, by the id of the turn."""
        return replace(self, turns=[replace(turn, files=files.get(turn.id, turn.files)) for turn in self.turns])


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a conversation, ready to send to a model."""

    conversation: Conversation
    options: Mapping[str, JSON]
    """The options of the model with the turns: see `prompts.render_turns`."""
    turn: Turn | None
    """The question as a new turn; None for a regeneration, since the question is stored already."""
    parent_turn: str
    """The id of the turn before the answer."""
    is_opening: bool = False
    """Whether the conversation is new."""
    earlier_turns: tuple[Turn, ...] = ()
    """Messages from before the bot joined, stored if the question opens the conversation."""
    left_out_count: int = 0
    """Earlier turns that do not fit into the model's context for the first time; 0 if told before."""


class Conversations:
    """The conversations: a channel or thread has at most one current conversation."""

    def __init__(self, database: Database, system_prompt: str, clock: Clock) -> None:
        self._database = database
        self.system_prompt = system_prompt
        """The default for new conversations."""
        self._clock = clock

    async def get_current(self, channel: Channel) -> Conversation | None:
        """Return the current conversation of a channel or thread, if any."""
        async with self._database.read() as tx:
            place = (channel.platform, channel.workspace, channel.id, channel.thread)
            return await tx.conversations.find(*place, is_reply_chain=channel.is_reply_chain)

    async def load_current(self, channel: Channel) -> Past | None:
        """Return the current conversation of a channel or thread with its turns, if any."""
        async with self._database.read() as tx:
            place = (channel.platform, channel.workspace, channel.id, channel.thread)
            conversation = await tx.conversations.find(*place, is_reply_chain=channel.is_reply_chain)
            turns = await tx.conversations.list_turns(conversation.id, MAX_TURNS_READ) if conversation else []
        return Past(conversation, turns) if conversation else None

    async def get(self, conversation_id: str) -> Conversation | None:
        async with self._database.read() as tx:
            return await tx.conversations.get(conversation_id)

    def draft_question(
        self,
        channel: Channel,
        past: Past | None,
        user: User,
        text: str,
        model: Model,
        *,
        system: str = "",
        earlier: Sequence[EarlierMessage] = (),
    ) -> Draft:
        """Return the next question of a channel's conversation, or the first question of a new conversation.

        `past` is what `load_current` returned for the channel. A new conversation begins with the messages `earlier`,
        and its model is told the words `system`; without them the bot's own.
        """
        # Not stored here: a new conversation is committed together with the first job.
        if past is not None:
            return self._append(past.conversation, chain_turns(past.turns), user, text)
        conversation = self._build_conversation(channel, user, model, system or self.system_prompt)
        turns = self._build_earlier_turns(conversation, earlier)
        return replace(self._append(conversation, turns, user, text), is_opening=True, opening_count=len(turns))

    async def draft_follow_up(self, conversation_id: str, job: str, user: User, text: str) -> Draft:
        """Return a question after the answer of a job, without the turns since.

        Raise `JobNotFound` if the conversation or the job's question is deleted.
        """
        past, question = await self._load_question(conversation_id, job)
        answer = next((t for t in reversed(past.turns) if t.job == job and t.role is TurnRole.ASSISTANT), None)
        earlier = [*chain_turns(past.turns, question.id), *([answer] if answer else [])]
        return self._append(past.conversation, earlier, user, text)

    async def draft_regeneration(self, conversation_id: str, job: str) -> Draft:
        """Return the question of a job again, for a second answer beside the first.

        Raise `JobNotFound` if the conversation or the job's question is deleted.
        """
        past, question = await self._load_question(conversation_id, job)
        return Draft(past.conversation, chain_turns(past.turns, question.id), is_stored=True)

    def _build_earlier_turns(self, conversation: Conversation, earlier: Sequence[EarlierMessage]) -> list[Turn]:
        """Return earlier messages as a chain of turns."""
        turns: list[Turn] = []
        for n, message in enumerate(earlier):
            # Turns are read in the order of time: each message gets a time, all before the question's.
            at = self._clock.now() - timedelta(milliseconds=len(earlier) - n)
            parent = turns[-1].id if turns else ""
            turn = Turn(new_ordered_id(), conversation.id, message.role, message.text, at, parent, user=message.user)
            turns.append(replace(turn, platform_message=message.message_id))
        return turns

    async def get_answer(self, job: Job) -> Turn | None:
        """Return the answer of a chat job as the model wrote it, None if deleted."""
        async with self._database.read() as tx:
            turns = await tx.conversations.list_turns(job.conversation, MAX_TURNS_READ)
        return next((turn for turn in reversed(turns) if turn.job == job.id and turn.role is TurnRole.ASSISTANT), None)

    async def _load_question(self, conversation_id: str, job: str) -> tuple[Past, Turn]:
        async with self._database.read() as tx:
            conversation = await tx.conversations.get(conversation_id)
            turns = await tx.conversations.list_turns(conversation_id, MAX_TURNS_READ) if conversation else []
        question = _find_question(turns, job)
        if conversation is None or question is None:
            raise JobNotFound("That question is not kept any more. Please ask it again.")
        return Past(conversation, turns), question

    def _append(self, conversation: Conversation, earlier: Sequence[Turn], user: User, text: str) -> Draft:
        parent = earlier[-1].id if earlier else ""
        turn = Turn(new_ordered_id(), conversation.id, TurnRole.USER, text, self._clock.now(), parent, user=user.author)
        return Draft(conversation, [*earlier, turn])

    def _build_conversation(self, channel: Channel, user: User, model: Model, system: str) -> Conversation:
        return Conversation(
            id=new_id(),
            platform=channel.platform,
            workspace=channel.workspace,
            channel=channel.id,
            thread=channel.thread,
            model=model.key,
            system=system,
            starter=user.author,
            created_at=self._clock.now(),
            is_reply_chain=channel.is_reply_chain,
        )

    async def render(
        self,
        draft: Draft,
        model: Model,
        *,
        system: str = "",
        max_tokens: int,
        tools: Collection[str] = (),
        note: str = "",
        picture_tokens: int = 0,
    ) -> Question:
        """Return the question with the newest turns that fit beside an answer of `max_tokens`.

        A summary stands for the turns before it. `system` overrides the conversation's system prompt, `tools` are
        offered to the model, and `note` stands below the question without being stored. Older turns make room for
        `picture_tokens`. Raise `BadOption` if the question does not fit whole.
        """
        turns = await self._name_authors(draft.conversation, await self._skip_summarised(draft.turns))
        if note:
            turns[-1] = replace(turns[-1], text=f"{turns[-1].text}\n\n{note}")
        is_native = "tools" in model.inputs
        offer = describe_tools(tools) if not is_native else NO_INSTRUCTIONS if tools else ""
        system = "\n\n".join(part for part in (system or draft.conversation.system, offer) if part)
        budget_tokens = (model.context_tokens or _DEFAULT_CONTEXT_TOKENS) - max_tokens - _TEMPLATE_TOKENS
        schemas = build_tool_schemas(tools) if tools and is_native else []
        question_tokens, system_tokens = count_tokens(turns[-1].text), count_tokens(system)
        if schemas:
            system_tokens += count_tokens(json.dumps(schemas))
        if question_tokens + system_tokens > budget_tokens:
            raise _build_too_long_error(model, question_tokens, system_tokens, budget_tokens, max_tokens)
        room_tokens = budget_tokens - system_tokens - picture_tokens
        kept = trim_turns(turns, room_tokens)
        # The answer to the question before told of turns that were left out then.
        before = turns[:-2]
        was_told = len(trim_turns(before, room_tokens)) < len(before)
        native: dict[str, JSON] = {"tools": schemas} if schemas else {}
        return Question(
            draft.conversation,
            {**render_turns(model, system, kept), **native},
            None if draft.is_stored else draft.question,
            draft.question.id,
            draft.is_opening,
            tuple(draft.turns[: draft.opening_count]),
            left_out_count=0 if was_told else len(turns) - len(kept),
        )

    async def needs_summary(self, draft: Draft, model: Model, *, system: str = "", max_tokens: int) -> bool:
        """Return whether the turns before a question fill most of the room that the model has for them."""
        earlier = (await self._skip_summarised(draft.turns))[:-1]
        if len(earlier) < _LEAST_SUMMARISED_TURNS or draft.opening_count:
            return False
        budget_tokens = (model.context_tokens or _DEFAULT_CONTEXT_TOKENS) - max_tokens - _TEMPLATE_TOKENS
        room_tokens = budget_tokens - count_tokens(system or draft.conversation.system)
        tokens = sum(count_tokens(turn.text) for turn in earlier)
        return tokens > room_tokens * _FULL_SHARE or len(earlier) > MAX_TURNS_READ * _FULL_SHARE

    async def _skip_summarised(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Return the turns from the last whole summary on."""
        for n in range(len(turns) - 2, -1, -1):
            if turns[n].text != SUMMARY_REQUEST or turns[n + 1].role is not TurnRole.ASSISTANT:
                continue
            async with self._database.read() as tx:
                job = await tx.jobs.get(turns[n + 1].job)
            # A stopped summary lacks what it did not come to; a person's own request is none of these jobs.
            if job is not None and job.options.get("asks") and job.state in _WHOLE_STATES:
                return turns[n:]
        return turns

    async def _name_authors(self, conversation: Conversation, turns: Sequence[Turn]) -> list[Turn]:
        """Return the turns with the authors' names before the words if several people speak."""
        authors = {turn.user for turn in turns if turn.role is TurnRole.USER}
        if len(authors) < 2:
            return list(turns)
        async with self._database.read() as tx:
            ids = [parse_author(author) for author in sorted(authors)]
            names = await tx.people.get_names(conversation.platform, conversation.workspace, ids)
        return [
            replace(turn, text=f"{_flatten(names.get(parse_author(turn.user)))}: {turn.text}")
            # A message from before the bot joined names its author already.
            if turn.role is TurnRole.USER and not turn.platform_message
            else turn
            for turn in turns
        ]


def _flatten(name: str | None) -> str:
    return " ".join((name or "").split()) or "somebody"


def _build_too_long_error(
    model: Model, question_tokens: int, system_tokens: int, budget_tokens: int, max_tokens: int
) -> BadOption:
    """Return the error that names the longer part, its length, and the room beside the answer."""
    is_system = system_tokens > question_tokens
    part, name = ("What the model is told before (system)", "system") if is_system else ("Your message", "message")
    tokens = system_tokens if is_system else question_tokens
    left = max(0, budget_tokens - (question_tokens if is_system else system_tokens))
    return BadOption(
        f"{part} is too long for {model.title}: about {tokens:,} tokens, and {left:,} fit beside an answer of up to "
        f"{max_tokens:,}. Shorten it, lower max_tokens, or choose another model.",
        option=name,
    )


def _find_question(turns: list[Turn], job: str) -> Turn | None:
    """Return the user's turn before a job's answer."""
    turns_by_id = {turn.id: turn for turn in turns}
    for turn in reversed(turns):
        if turn.job == job:
            # A regenerating job stores no question: the answer's parent is the question.
            return turn if turn.role is TurnRole.USER else turns_by_id.get(turn.parent)
    return None


# Prompts.

# A careful estimate of tokens, by the bytes that a character has in UTF-8: English has four characters per token, code
# three, Cyrillic more than two; Chinese has less than a token per character, an emoji up to three.
_TOKENS_PER_CHARACTER = (1 / 3, 1 / 2, 1.0, 3.0)


def count_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather more than fewer."""
    if text.isascii():
        return ceil(len(text) * _TOKENS_PER_CHARACTER[0])
    size_bytes, ascii_count = len(text.encode()), len(text.encode("ascii", "ignore"))
    long_count = len(text.encode("utf-16-le")) // 2 - len(text)
    between = len(text) - ascii_count - long_count
    three_count = size_bytes - ascii_count - 4 * long_count - 2 * between
    counts = (ascii_count, between - three_count, three_count, long_count)
    return ceil(sum(count * tokens for count, tokens in zip(counts, _TOKENS_PER_CHARACTER, strict=True)))


def trim_turns(turns: Sequence[Turn], budget_tokens: int) -> list[Turn]:
    """Return the newest whole turns that fit, oldest first, beginning with a user's turn; the last turn stays."""
    left_tokens = budget_tokens
    kept: list[Turn] = []
    for turn in reversed(turns):
        left_tokens -= count_tokens(turn.text)
        if left_tokens < 0 and kept:
            break
        kept.append(turn)
    kept.reverse()
    while len(kept) > 1 and kept[0].role is TurnRole.ASSISTANT:
        kept.pop(0)
    return kept


def chain_turns(turns: Sequence[Turn], until: str = "") -> list[Turn]:
    """Return the turns in reading order: each question followed by the newest answer, up to the turn `until`.

    A regenerated answer hides the earlier answer. If two users ask at once, both questions stay.
    """
    answers = {turn.parent: turn for turn in turns if turn.role is TurnRole.ASSISTANT}
    questions = {turn.id for turn in turns if turn.role is TurnRole.USER}
    path: list[Turn] = []
    for turn in turns:
        if turn.role is TurnRole.ASSISTANT:
            path += [] if turn.parent in questions else [turn]  # the question of this answer is too old to be read
            continue
        path.append(turn)
        if turn.id == until:
            break
        path += [answers[turn.id]] if turn.id in answers else []
    return path


def render_turns(model: Model, system: str, turns: Sequence[Turn]) -> dict[str, JSON]:
    """Return the options of a model that carry the turns: `messages`, or `prompt`, and `system` for a field of its own.

    A model without a system field reads the system words at the head of the messages or of the prompt.
    """
    apart: dict[str, JSON] = {"system": system} if system and "system" in model.inputs else {}
    head = "" if apart else system
    if "messages" not in model.inputs:
        return {**apart, "prompt": render_prompt(model.template, head, turns)}
    messages: list[JSON] = [{"role": "system", "content": head}] if head else []
    messages += [{"role": turn.role.value, "content": turn.text} for turn in turns]
    return {**apart, "messages": messages}


def render_prompt(template: str, system: str, turns: Sequence[Turn]) -> str:
    """Return the prompt for the next assistant turn, in the catalogue's template `llama3` or as plain text."""
    return _TEMPLATES[template](system, turns)


def _llama3(system: str, turns: Sequence[Turn]) -> str:
    # Source: Meta's Llama 3 prompt format (llama.com/docs). Replicate's own template there is the bare prompt.
    parts = ["<|begin_of_text|>"]
    if system:
        parts.append(_llama3_message("system", system))
    parts += [_llama3_message(turn.role, turn.text) for turn in turns]
    parts.append("<|start_header_id|>assistant<|end_header_id|>\n\n")
    return "".join(parts)


def _llama3_message(role: str, text: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n{neutralise_control_tokens(text).strip()}<|eot_id|>"


def _plain(system: str, turns: Sequence[Turn]) -> str:
    if not system and len(turns) == 1:
        return neutralise_control_tokens(turns[0].text)
    names = {TurnRole.USER: "User", TurnRole.ASSISTANT: "Assistant"}
    lines = [
        *([system] if system else []),
        *(f"{names[turn.role]}: {neutralise_control_tokens(turn.text)}" for turn in turns),
    ]
    return "\n\n".join([*lines, "Assistant:"])


_TEMPLATES: Mapping[str, Callable[[str, Sequence[Turn]], str]] = {"llama3": _llama3, "": _plain}
