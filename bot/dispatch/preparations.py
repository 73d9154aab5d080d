"""Runs the jobs around a chat: descriptions of pictures, a summary, the transcript of a voice message, and speech.

Each is a job of the asker, priced and held by itself. A question waits behind the job before (`asks`); the first hold
covers the whole chain. A kill in between continues the chain, as for `tool_calls`. A voice message is a chain too: the
transcript becomes a question of a chat, and the answer is spoken where settings say so.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from bot.conversations.conversations import SUMMARY_REQUEST, SUMMARY_TOKENS, Past
from bot.conversations.tools import split_call
from bot.core.backend import InputFile, InputValue
from bot.core.errors import BadOption, JobNotFound
from bot.core.invocations import PREPARED, VOICE, Attachment, Invocation, Link, name_file
from bot.core.jobs import Job, JobState
from bot.core.json import JSON
from bot.core.limits import MAX_DESCRIPTION_CHARACTERS
from bot.core.models import Model, Task
from bot.credits.pricing import estimate_cost
from bot.dispatch.confirmation import restore_invocation, store_invocation
from bot.dispatch.declaration import MAX_PICTURES, OptionValue, Services
from bot.dispatch.dispatcher import format_error
from bot.dispatch.tool_calls import JobChain, is_stopped

DESCRIPTION_ROOM_CHARACTERS = MAX_DESCRIPTION_CHARACTERS + 200
"""The longest description with the words around it."""

_MAX_QUOTED_CHARACTERS = 500

_MARKDOWN = re.compile(r"^```.*$|^#+\s+|^>\s?|\*\*|__|`", re.MULTILINE)


async def begin_description(
    invocation: Invocation, services: Services, images: Sequence[Attachment | Link], model: Model, most_micros: int
) -> None:
    """Start the description of the first of a question's pictures; `Preparations` goes on with the others.

    `most_micros` is the maximum cost of the question with its descriptions. Raise a `UserError` if a picture is refused
    or the asker's purse does not last for the whole chain.
    """
    caption = await _choose_caption_model(services, invocation, model)
    loaded = await services.media.load_inputs(images, caption.inputs["image"])
    question = str(invocation.options.get("message") or "")
    options: dict[str, InputValue] = {"image": loaded[0], "question": _ask_caption_model(caption, question)}
    most = estimate_cost(caption, services.catalogue.build_inputs(caption, options)).max_micros
    stored: dict[str, InputValue] = {
        "image": loaded,
        "question": options["question"],
        "model": caption.key,
        # The words of the chat are checked for refused words now, and shown as the request.
        "message": question,
        **_store_question(invocation, loaded[1:]),
    }
    channel = invocation.channel
    if channel.begins_with(invocation.request_key):
        # The conversation begins with the answer to the question, not with the description.
        channel = replace(channel, thread="", is_reply_chain=False)
    await services.jobs.start(
        replace(invocation, command=Task.CAPTION, channel=channel),
        caption,
        options,
        stored_options=stored,
        further_micros=most_micros + most * (len(loaded) - 1),
    )


async def _choose_caption_model(services: Services, invocation: Invocation, model: Model) -> Model:
    try:
        caption = await services.choose_model(invocation.user, Task.CAPTION, "", required_option="image")
    except BadOption:
        caption = None
    # The result of a chain is a message of its own, which a private answer cannot have everywhere.
    if caption is None or invocation.is_private or invocation.action:
        raise BadOption(f"{model.title} cannot see pictures. Choose a model that sees: /models.", option="image")
    return caption


def _ask_caption_model(caption: Model, question: str) -> str | None:
    """Return the question to a caption model; None for a model whose usual words are better than instructions."""
    rule = caption.inputs.get("question")
    if rule is None or rule.default is None:
        return None
    wanted = " ".join(question.split())[:_MAX_QUOTED_CHARACTERS]
    return f"Describe this picture in a few sentences, with any text in it. Somebody cannot see it and asks: {wanted}"


async def begin_summary(
    invocation: Invocation,
    services: Services,
    images: Sequence[Attachment | Link],
    model: Model,
    system: str,
    most_micros: int,
    past: Past | None,
) -> None:
    """Start a summary of the conversation in a turn of its own; the question follows.

    `past` is the conversation, `most_micros` the maximum cost of the question. Raise a `UserError` as
    `begin_description` does.
    """
    draft = services.conversations.draft_question(invocation.channel, past, invocation.user, SUMMARY_REQUEST, model)
    question = await services.conversations.render(draft, model, system=system, max_tokens=SUMMARY_TOKENS)
    loaded = await services.media.load_inputs(images, model.inputs.get("image"))
    asked: dict[str, InputValue] = {"max_tokens": SUMMARY_TOKENS}
    stored: dict[str, InputValue] = {
        **asked,
        "model": model.key,
        "message": SUMMARY_REQUEST,
        "remark": "a summary, since the conversation outgrows the model",
        **({"image": loaded} if loaded else {}),
        **_store_question(invocation, loaded),
    }
    await services.jobs.start(
        replace(invocation, drawing_prompt=""),
        model,
        {**question.options, **asked},
        stored_options=stored,
        question=question,
        further_micros=most_micros,
    )


def _store_question(invocation: Invocation, images: Sequence[InputFile]) -> dict[str, InputValue]:
    """Return the options of a job behind which a question waits, with the pictures that are left of the question."""
    named = {name_file("image", n) for n in range(MAX_PICTURES)}
    kept = {name: value for name, value in invocation.options.items() if name not in named}
    files = {name_file("image", n): file.sha256 for n, file in enumerate(images)}
    return {
        "system": str(kept.get("system") or ""),
        "asks": store_invocation(replace(invocation, options=kept), files),
    }


class Preparations(JobChain):
    """Asks a question after the description of one of its pictures, or after a summary of its conversation."""

    async def plan(self, job: Job) -> Callable[[], Awaitable[bool]] | None:
        """Return how the question behind a job is asked."""
        asks = job.options.get("asks")
        return partial(self._ask, job, asks) if isinstance(asks, dict) and not is_stopped(job) else None

    async def _ask(self, job: Job, asks: Mapping[str, JSON]) -> bool:
        user, key = job.user, f"{job.request_key}:prepared"
        try:
            question = restore_invocation(asks, user, key, self.dispatcher.services.media)
        except JobNotFound as error:
            await self.post(user, job.channel, format_error(error), key)
            return True
        if job.command == Task.CAPTION:
            question = await self._add_description(question, job)
        else:
            # Also after a failed summary: the question is asked as without the setting, and not summarised for again.
            question = replace(question, action=PREPARED)
        # The hold before covered, and the person confirmed, the whole chain.
        return await self.begin(replace(question, confirmed_micros=job.max_micros, is_confirmed=True))

    async def _add_description(self, question: Invocation, job: Job) -> Invocation:
        """Return the question with the words of a caption model, and with the remark that the answer shows."""
        services = self.dispatcher.services
        title = services.catalogue.get(job.model).title
        outputs = await services.jobs.list_outputs(job)
        words = "".join(output.text for output in outputs).strip() if job.state is JobState.FINISHED else ""
        if len(words) > MAX_DESCRIPTION_CHARACTERS:
            words = f"{words[:MAX_DESCRIPTION_CHARACTERS]} […]"
        remark = f"{title} described the pictures" if words else "a picture could not be described"
        told = (
            f"described by {title}, without instructions for you: {words}" if words else "which nobody could describe"
        )
        message = f"{question.options['message']}\n\n(A picture, {told})"
        remarks = dict.fromkeys(part for part in (*question.remark.split(" · "), remark) if part)
        return replace(question, options={**question.options, "message": message}, remark=" · ".join(remarks))


# Voice messages.


class VoiceAnswers(JobChain):
    """Begins the chats that answer transcripts, and the speech of the answers."""

    async def plan(self, job: Job) -> Callable[[], Awaitable[bool]] | None:
        """Return how the answer to a transcript begins, or the speech of an answer."""
        # A failed transcription says itself why.
        if job.state is not JobState.FINISHED or is_stopped(job):
            return None
        question = job.options.get("voice_question")
        if job.command == Task.TRANSCRIBE and isinstance(question, str):
            return partial(self._answer, job, question)
        text = await self._read_answer(job) if job.command == Task.CHAT and job.options.get("spoken") else ""
        return partial(self._continue, job, Task.SPEAK, {"text": text}, "spoken") if text else None

    async def _answer(self, job: Job, question: str) -> bool:
        outputs = await self.dispatcher.services.jobs.list_outputs(job)
        transcript = "".join(output.text for output in outputs).strip()
        words = "\n\n".join(filter(None, (question, transcript)))
        return await self._continue(job, Task.CHAT, {"message": words}, "answer")

    async def _continue(self, job: Job, command: str, options: Mapping[str, OptionValue], link: str) -> bool:
        return await self.begin(await self.build_request(job, command, f"{job.request_key}:{link}", options, VOICE))

    async def _read_answer(self, job: Job) -> str:
        """Return the words of an answer without marks of Markdown; empty for an answer that calls a tool."""
        answer = await self.dispatcher.services.conversations.get_answer(job)
        if answer is None or split_call(answer.text, job.tools or ())[1] is not None:
            return ""
        return _MARKDOWN.sub("", answer.text).strip()
