"""/chat: asks a language model in the conversation of the channel or thread."""

from collections.abc import Sequence
from dataclasses import replace

from bot.conversations.conversations import Draft, Past, Question
from bot.core.backend import InputFile, InputValue
from bot.core.errors import BadOption, RequestRefused
from bot.core.file_types import MediaKind
from bot.core.invocations import TOOL_RESULT, VOICE, Attachment, EarlierMessage, Invocation, Link
from bot.core.jobs import Job
from bot.core.models import Model, Task
from bot.credits.pricing import estimate_cost
from bot.dispatch.declaration import MAX_PICTURES, Command, Services, command, models_for, option
from bot.dispatch.plain_text import may_continue_conversation
from bot.dispatch.preparations import DESCRIPTION_ROOM_CHARACTERS, begin_description, begin_summary
from bot.dispatch.seeing import EarlierPictures, leave_out_unaffordable, load_earlier_pictures
from bot.dispatch.tool_calls import count_calls, list_tools, store_tools
from bot.moderation.moderation import WorkspaceSettings

MAX_MESSAGE_CHARACTERS = 16_000
DEFAULT_MAX_TOKENS = 1024
CONTINUE_PROMPT = "Please continue exactly where you stopped."
# Buttons of an answer: the question follows or replaces the answer, wherever the conversation stands by now.
_ACTIONS_ON_ANSWERS = ("continue", "ask", "regenerate", "retry", TOOL_RESULT)


@command("chat", task=Task.CHAT)
class Chat(Command):
    """Ask a language model, and keep talking."""

    message: str = option("What do you want to say?", max_length=MAX_MESSAGE_CHARACTERS, words=True)
    model: str = option("Which model should answer?", default="", autocomplete=models_for(Task.CHAT))
    system: str | None = option("How should it behave?", default=None, max_length=4_000)
    temperature: float | None = option("How freely should it speak?", default=None, minimum=0, maximum=5)
    max_tokens: int = option(
        "How long may the answer be, in tokens?", default=DEFAULT_MAX_TOKENS, minimum=1, maximum=4096
    )
    images: tuple[Attachment | Link, ...] = option(
        "A picture to talk about?", default=(), name="image", max_files=MAX_PICTURES
    )
    files: tuple[Attachment | Link, ...] = option(
        "A PDF, text or code file to read?",
        default=(),
        name="file",
        max_files=MAX_PICTURES,
        media=(MediaKind.FILE,),
        is_read=True,
    )

    async def answer(self, invocation: Invocation, services: Services) -> None:
        user = invocation.user
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        parent = await services.jobs.get(invocation.parent_job) if invocation.action in _ACTIONS_ON_ANSWERS else None
        # A button's question stands in the conversation of its answer, and names the model.
        is_placed = parent is not None and bool(parent.conversation and self.model and not self.images)
        past = None if is_placed else await services.conversations.load_current(invocation.channel)
        model = self._choose_model(services, settings, past)
        if self.images and "image" not in model.inputs:
            await self._describe_pictures(invocation, services, settings, model, past)
            return
        calls = count_calls(parent) if parent is not None and invocation.action == TOOL_RESULT else 0
        tools = list_tools(services, invocation, settings, calls)
        earlier_messages = await services.moderation.remove_refused(user, invocation.earlier_messages)
        draft = await self._draft_question(invocation, services, model, settings, parent, earlier_messages, past)
        # Rendered before any picture is fetched: a question that does not fit downloads nothing.
        question = await self._render(services, draft, model, tools)
        if settings.summaries and await self._needs_summary(invocation, services, draft, model):
            most = self._estimate_micros(services, model, question)
            await begin_summary(
                self._keep_model(invocation, model), services, self.images, model, self.system or "", most, past
            )
            return
        images = await services.media.load_inputs(self.images, model.inputs.get("image"))
        earlier = EarlierPictures()
        try:
            earlier = await load_earlier_pictures(services, invocation, draft, earlier_messages, model, images)
            seen = {**question.options, **self._list_options((*earlier.files, *images))}
            earlier = await leave_out_unaffordable(services, invocation, model, seen, earlier)
            if earlier.files or images:
                draft = _show_pictures(draft, images, earlier)
                question = await self._render(
                    services, draft, model, tools, note=earlier.describe(len(images)), picture_tokens=earlier.tokens
                )
        except BaseException:
            services.media.release((*images, *earlier.files))
            raise
        options = {**question.options, **self._list_options((*earlier.files, *images))}
        # Without the turns: the job's inputs hold the whole conversation already.
        stored_options = {
            "message": self.message,
            "model": model.key,
            "system": self.system,
            **self._list_options(images),
            **_store_facts(invocation, question, earlier, settings),
            **_store_speech(invocation, settings, parent),
        }
        if tools or invocation.action == TOOL_RESULT:
            # After the last call too: a model that goes on calling shows no call to people.
            stored_options |= store_tools(tools, calls)
        await services.jobs.start(invocation, model, options, stored_options=stored_options, question=question)

    def _list_options(self, images: tuple[InputFile, ...]) -> dict[str, InputValue]:
        return {"temperature": self.temperature, "max_tokens": self.max_tokens, "image": images or None}

    def _choose_model(self, services: Services, settings: WorkspaceSettings, past: Past | None) -> Model:
        """Return the named model, else the conversation's model, else the default.

        With a picture and no named model, prefer a model with a picture input.
        """
        current_model = past.conversation.model if past and past.conversation.model in services.catalogue else ""
        preferred = settings.get_default_model(Task.CHAT)
        model = services.catalogue.choose(Task.CHAT, self.model or current_model, preferred_key=preferred)
        if not self.images or self.model or model.accepts("image", len(self.images)):
            return model
        return services.catalogue.choose(
            Task.CHAT, required_option="image", file_count=len(self.images), preferred_key=preferred
        )

    async def _draft_question(
        self,
        invocation: Invocation,
        services: Services,
        model: Model,
        settings: WorkspaceSettings,
        parent: Job | None,
        earlier: Sequence[EarlierMessage],
        past: Past | None,
    ) -> Draft:
        """Return the question in its place: after an answer, instead of an answer, or at the conversation's end."""
        conversations, user = services.conversations, invocation.user
        job = invocation.parent_job
        conversation = parent.conversation if parent else ""
        await _check_may_join(invocation, services, conversation, settings, past)
        if invocation.action in ("continue", "ask", TOOL_RESULT):
            text = CONTINUE_PROMPT if invocation.action == "continue" else self.message
            return await conversations.draft_follow_up(conversation, job, user, text)
        if invocation.action in ("regenerate", "retry"):
            return await conversations.draft_regeneration(conversation, job)
        system = self.system or settings.build_system_prompt(conversations.system_prompt)
        return conversations.draft_question(
            invocation.channel, past, user, self.message, model, system=system, earlier=earlier
        )

    async def _render(
        self,
        services: Services,
        draft: Draft,
        model: Model,
        tools: Sequence[str] = (),
        *,
        note: str = "",
        picture_tokens: int = 0,
    ) -> Question:
        return await services.conversations.render(
            draft,
            model,
            system=self.system or "",
            max_tokens=self.max_tokens,
            tools=tools,
            note=note,
            picture_tokens=picture_tokens,
        )

    async def _describe_pictures(
        self,
        invocation: Invocation,
        services: Services,
        settings: WorkspaceSettings,
        model: Model,
        past: Past | None,
    ) -> None:
        """Have a caption model describe the pictures for a model that cannot see; the question follows.

        Raise `BadOption` if the words and the descriptions are too long together, before any picture is fetched.
        """
        count = len(self.images)
        if len(self.message) + count * DESCRIPTION_ROOM_CHARACTERS > MAX_MESSAGE_CHARACTERS:
            raise BadOption(
                f"{model.title} cannot see pictures, and your words leave no room for a description. Shorten them, or "
                "choose a model that sees.",
                option="message",
            )
        earlier = invocation.earlier_messages
        draft = await self._draft_question(invocation, services, model, settings, None, earlier, past)
        longest = "x" * (count * DESCRIPTION_ROOM_CHARACTERS)
        question = await self._render(services, draft, model, note=longest)
        most = self._estimate_micros(services, model, question)
        await begin_description(self._keep_model(invocation, model), services, self.images, model, most)

    async def _needs_summary(self, invocation: Invocation, services: Services, draft: Draft, model: Model) -> bool:
        """Return whether a summary comes first: not of a conversation that a button or a private answer continues."""
        if invocation.action or invocation.is_private:
            return False
        return await services.conversations.needs_summary(
            draft, model, system=self.system or "", max_tokens=self.max_tokens
        )

    def _estimate_micros(self, services: Services, model: Model, question: Question) -> int:
        """Return the most that a question without pictures costs."""
        options = {**question.options, **self._list_options(())}
        return estimate_cost(model, services.catalogue.build_inputs(model, options)).max_micros

    def _keep_model(self, invocation: Invocation, model: Model) -> Invocation:
        """Return a question that waits with its model: the default may change meanwhile."""
        return replace(invocation, options={**invocation.options, "model": model.key})


def _show_pictures(draft: Draft, images: Sequence[InputFile], earlier: EarlierPictures) -> Draft:
    """Return the draft whose turns show the pictures, for the questions to come."""
    if draft.is_stored:
        return draft
    question = draft.question.id
    shown = (*earlier.shown_by.get(question, ()), *(file.sha256 for file in images))
    return draft.show({**earlier.shown_by, question: shown})


def _store_speech(invocation: Invocation, settings: WorkspaceSettings, parent: Job | None) -> dict[str, InputValue]:
    """Return the options of an answer to speak: to a voice message, also after the calls of tools."""
    if settings.voice != "speak":
        return {}
    is_of_voice = invocation.action == VOICE or (
        invocation.action == TOOL_RESULT and parent is not None and bool(parent.options.get("spoken"))
    )
    return {"spoken": True} if is_of_voice else {}


def _store_facts(
    invocation: Invocation, question: Question, earlier: EarlierPictures, settings: WorkspaceSettings
) -> dict[str, InputValue]:
    """Return the options of a chat job that later steps and the reply need, as far as there are any."""
    remark = " · ".join(part for part in (invocation.remark, earlier.remark) if part)
    facts: dict[str, InputValue] = {
        "left_out": question.left_out_count,
        "drawing_prompt": invocation.drawing_prompt,
        "remark": remark,
        "feedback": settings.feedback,
        "seen": list(earlier.borrowed),
    }
    return {name: value for name, value in facts.items() if value}


async def _check_may_join(
    invocation: Invocation, services: Services, conversation_id: str, settings: WorkspaceSettings, past: Past | None
) -> None:
    """Raise `RequestRefused` for another user's conversation if the workspace's setting `join` is "starter"."""
    if conversation_id:
        conversation = await services.conversations.get(conversation_id)
    else:
        # The conversation of a whole channel belongs to all members.
        conversation = past.conversation if past is not None and invocation.channel.thread else None
    if conversation is not None and not may_continue_conversation(conversation, invocation.user, settings.join):
        raise RequestRefused("Only the person who began this conversation goes on with it. Begin your own with /chat.")
