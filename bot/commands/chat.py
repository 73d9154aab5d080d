"""/chat: a question, an answer that grows, and the conversation that follows."""

from bot.conversations.conversations import Question
from bot.core.errors import BadOption, RequestRefused
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Model, Task
from bot.dispatch.declaration import Command, Services, command, models_for, option
from bot.dispatch.plain_text import may_continue_conversation
from bot.moderation.settings import WorkspaceSettings

DEFAULT_MAX_TOKENS = 1024
CONTINUE_PROMPT = "Please continue exactly where you stopped."
_ON_AN_ANSWER = ("continue", "ask", "regenerate", "retry")


@command("chat", task=Task.CHAT)
class Chat(Command):
    """Ask a language model, and keep talking."""

    message: str = option("What do you want to say?", max_length=16_000, words=True)
    model: str = option("Which model should answer?", default="", autocomplete=models_for(Task.CHAT))
    system: str | None = option("How should it behave?", default=None, max_length=4_000)
    temperature: float | None = option("How freely should it speak?", default=None, minimum=0, maximum=5)
    max_tokens: int = option(
        "How long may the answer be, in tokens?", default=DEFAULT_MAX_TOKENS, minimum=1, maximum=4096
    )
    image: Attachment | Link | None = option("A picture to talk about?", default=None)

    async def answer(self, invocation: Invocation, services: Services) -> None:
        user = invocation.user
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        model = await self._model(invocation, services, settings)
        if self.image is not None and "image" not in model.inputs:
            raise BadOption(f"{model.title} cannot see pictures. /caption can.", option="image")
        asked = await self._build_question(invocation, services, model, settings)
        image = await services.media.load_input(self.image, model.inputs.get("image")) if self.image else None
        options = {
            "prompt": asked.prompt,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "image": image,
        }
        remembered = {"message": self.message, "model": model.key, "system": self.system, **options}
        del remembered["prompt"]  # kept once, among the inputs
        await services.jobs.start(invocation, model, options, stored_options=remembered, question=asked)

    async def _model(self, invocation: Invocation, services: Services, settings: WorkspaceSettings) -> Model:
        """The named one, else the one the conversation began with, else the default."""
        current = None if self.model else await services.conversations.get_current(invocation.channel)
        begun_with = current.model if current and current.model in services.catalogue else ""
        usual = settings.get_default_model(Task.CHAT)
        model = services.catalogue.choose(Task.CHAT, self.model or begun_with, preferred_key=usual)
        if self.image is None or self.model or "image" in model.inputs:
            return model
        return services.catalogue.choose(
            Task.CHAT, required_option="image", preferred_key=usual
        )  # one that sees, where there is one

    async def _build_question(
        self, invocation: Invocation, services: Services, model: Model, settings: WorkspaceSettings
    ) -> Question:
        """The question in its conversation: after one answer, in place of one, or at the end."""
        conversations, user = services.conversations, invocation.user
        job = invocation.parent_job
        before = await services.jobs.get(job) if invocation.action in _ON_AN_ANSWER else None
        where = before.conversation if before else ""
        await _check_may_join(invocation, services, where, settings)
        if invocation.action in ("continue", "ask"):
            words = CONTINUE_PROMPT if invocation.action == "continue" else self.message
            return await conversations.build_follow_up(where, job, user, words, model, max_tokens=self.max_tokens)
        system, most = self.system or "", self.max_tokens
        if invocation.action in ("regenerate", "retry"):
            return await conversations.build_regeneration(where, job, model, system=system, max_tokens=most)
        return await conversations.build_question(
            invocation.channel,
            user,
            self.message,
            model,
            system=system,
            default_system=settings.build_system_prompt(conversations.system_prompt),
            max_tokens=most,
            earlier=await services.moderation.remove_refused(user, invocation.earlier_messages),
        )


async def _check_may_join(invocation: Invocation, services: Services, where: str, settings: WorkspaceSettings) -> None:
    """Raises `Refused` for somebody else's conversation, where the workspace leaves it to whoever began it.

    A channel's own talk is nobody's: only threads and answers that are followed up have a beginner.
    """
    if where:
        conversation = await services.conversations.get(where)
    else:
        conversation = (
            await services.conversations.get_current(invocation.channel) if invocation.channel.thread else None
        )
    if conversation is not None and not may_continue_conversation(conversation, invocation.user, settings.join):
        raise RequestRefused("Only the person who began this conversation goes on with it. Begin your own with /chat.")
