"""Lets a chat model see the pictures of a conversation, or read a caption model's words in their place.

A model that cannot see gets its question after a chain of jobs: a description of each picture, then the question with
the descriptions. The first hold covers the whole chain. A kill in between continues the chain, as for `tool_calls`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.conversations.conversations import Draft
from bot.core.backend import InputFile, Inputs, InputValue
from bot.core.errors import BadOption, JobNotFound, UserError
from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment, EarlierMessage, Invocation, Link, format_left_out_pictures, name_file
from bot.core.jobs import Job, JobState
from bot.core.limits import MAX_DESCRIPTION_CHARACTERS, MAX_EARLIER_PICTURES, MAX_EARLIER_PIXELS
from bot.core.models import Model, Task
from bot.core.people import Channel, User
from bot.core.replies import Reply
from bot.credits.pricing import USUAL_PICTURE_TOKENS, estimate_cost
from bot.dispatch.declaration import MAX_PICTURES, Services
from bot.dispatch.dispatcher import Dispatcher, format_error
from bot.dispatch.stored_invocations import restore_invocation, store_invocation
from bot.dispatch.tool_calls import restore_user

DESCRIPTION_ROOM_CHARACTERS = MAX_DESCRIPTION_CHARACTERS + 200
"""The longest description with the words around it."""

_MAX_QUOTED_CHARACTERS = 500
_EARLIEST = timedelta(days=1)
"""How old a thread's pictures may be when its first question is a command."""


@dataclass(frozen=True, slots=True)
class EarlierPictures:
    """Pictures from before a question, oldest first, as inputs of a model."""

    files: tuple[InputFile, ...] = ()
    left_out_count: int = 0
    shown_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The SHA-256s of pictures that no stored turn shows yet, by the id of the turn that will."""
    borrowed: tuple[str, ...] = ()
    """The SHA-256s of files that belong to earlier requests, and are not deleted with the question."""

    @property
    def remark(self) -> str:
        """What the reply says about pictures that the model does not see."""
        return format_left_out_pictures(self.left_out_count)

    @property
    def tokens(self) -> int:
        """About how much of the model's context the pictures fill."""
        return len(self.files) * USUAL_PICTURE_TOKENS

    def describe(self, own_count: int) -> str:
        """Return the words that tell the model which pictures belong to the question; a list of files cannot."""
        if not self.files:
            return ""
        earlier = _count_pictures(len(self.files), "The picture", "The {} pictures")
        if not own_count:
            return f"({earlier} came earlier in this conversation.)"
        own = _count_pictures(own_count, "the last picture belongs", "the last {} pictures belong")
        first = _count_pictures(len(self.files), "The first picture", "The first {} pictures")
        return f"({first} came earlier in this conversation; {own} to this message.)"


def _count_pictures(count: int, one: str, several: str) -> str:
    return one if count == 1 else several.format(count)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A picture that stands earlier in a conversation. `sha256` is empty for a picture of a platform's message."""

    shown_at: datetime
    sha256: str
    picture: Attachment
    turn: str = ""
    """The id of the turn that will show the picture; empty where a stored turn does."""


async def load_earlier_pictures(
    services: Services,
    invocation: Invocation,
    draft: Draft,
    earlier_messages: Sequence[EarlierMessage],
    model: Model,
    own: Sequence[InputFile],
) -> EarlierPictures:
    """Return the newest pictures of a conversation that the model can see beside the question's `own`.

    `earlier_messages` are those that open the conversation. A picture that cannot be read is left out: the question
    is about words too.
    """
    rule = model.inputs.get("image")
    if rule is None:
        return EarlierPictures(left_out_count=await _count_unseen(services, invocation, draft, earlier_messages))
    # At least half of the context is for words.
    fitting = (model.context_tokens // 2) // USUAL_PICTURE_TOKENS if model.context_tokens else MAX_EARLIER_PICTURES
    room = min(rule.max_files - len(own), MAX_EARLIER_PICTURES, fitting)
    files: list[InputFile] = []
    shown_by: dict[str, tuple[str, ...]] = {}
    borrowed: list[str] = []
    known, left_out_count, pixels = {file.sha256 for file in own}, 0, 0
    for candidate in await _list_candidates(services, invocation, draft, earlier_messages):
        if candidate.sha256 in known:
            continue
        file = await _load(services, candidate, model) if len(files) < room else None
        size = file.width_pixels * file.height_pixels if file is not None else 0
        # A turn, the job of the turn and a platform's message may show the same picture.
        known |= {candidate.sha256} - {""}
        if file is None or pixels + size > MAX_EARLIER_PIXELS:
            services.media.release([file] if file is not None else [])
            left_out_count += 1
            continue
        if file.sha256 in known - {candidate.sha256}:
            continue
        known.add(file.sha256)
        pixels += size
        files.insert(0, file)
        borrowed += [file.sha256] if file.sha256 == candidate.sha256 else []
        if candidate.turn:
            # The whole picture, though this model may see a smaller one.
            shown_by[candidate.turn] = (candidate.sha256 or file.sha256, *shown_by.get(candidate.turn, ()))
    return EarlierPictures(tuple(files), left_out_count, shown_by, tuple(borrowed))


async def _count_unseen(
    services: Services, invocation: Invocation, draft: Draft, earlier_messages: Sequence[EarlierMessage]
) -> int:
    """Return the number of pictures that came since the turn before, for a model that cannot see: told once."""
    count = len([*_list_messages(draft, earlier_messages)])
    if draft.is_stored or invocation.action or len(draft.turns) == 1:
        return count
    files = await services.jobs.list_files(invocation.channel, draft.turns[-2].created_at)
    # A described picture stands in the question by its words.
    unseen = {sha256 for job, sha256 in files if not job.options.get("asks")}
    return count + sum(1 for sha256 in unseen if _load_picture(services, sha256) is not None)


async def leave_out_unaffordable(
    services: Services, invocation: Invocation, model: Model, options: Inputs, earlier: EarlierPictures
) -> EarlierPictures:
    """Return the pictures, or none where the question costs more with the pictures than its asker has left.

    `options` are those of the question with the pictures.
    """
    if not earlier.files:
        return earlier
    most = estimate_cost(model, services.catalogue.build_inputs(model, options)).max_micros
    if most <= (await services.credits.get_statement(invocation.user)).max_job_micros:
        return earlier
    services.media.release(earlier.files)
    return EarlierPictures(left_out_count=earlier.left_out_count + len(earlier.files))


async def _load(services: Services, candidate: _Candidate, model: Model) -> InputFile | None:
    try:
        return await services.media.load_input(candidate.picture, model.inputs["image"])
    except UserError:
        return None


async def _list_candidates(
    services: Services, invocation: Invocation, draft: Draft, earlier_messages: Sequence[EarlierMessage]
) -> list[_Candidate]:
    """Return the pictures of turns, of messages from before the bot joined, and of the place's jobs; newest first."""
    question = draft.question
    shown = [(turn.created_at, sha256, "") for turn in draft.turns for sha256 in turn.files]
    since = None if draft.is_stored or invocation.action else _find_start(invocation, draft)
    if since is not None:
        files = await services.jobs.list_files(invocation.channel, since)
        shown += [(job.created_at, sha256, question.id) for job, sha256 in files]
    found = [*_list_messages(draft, earlier_messages)]
    for shown_at, sha256, turn in shown:
        if (picture := _load_picture(services, sha256)) is not None:
            found.append(_Candidate(shown_at, sha256, picture, turn))
    found.sort(key=lambda candidate: candidate.shown_at)
    return found[::-1]


def _load_picture(services: Services, sha256: str) -> Attachment | None:
    """Return a stored picture; None for a file of another kind, and for a file that is not kept any more."""
    file = services.media.load_attachment(sha256)
    return file if file is not None and file.kind is MediaKind.PICTURE else None


def _list_messages(draft: Draft, earlier_messages: Sequence[EarlierMessage]) -> Iterator[_Candidate]:
    for turn, message in zip(draft.turns[: draft.opening_count], earlier_messages, strict=False):
        for picture in message.pictures:
            yield _Candidate(turn.created_at, "", picture, turn.id)


def _find_start(invocation: Invocation, draft: Draft) -> datetime | None:
    """Return the time from which files of the place belong to the conversation; None where none do.

    A thread is one conversation. A whole channel is not: only what was made since the turn before belongs to it.
    """
    is_thread, is_first = bool(invocation.channel.thread), len(draft.turns) - draft.opening_count == 1
    if is_first:
        # Pictures among the messages that open a conversation are read from the platform.
        return draft.question.created_at - _EARLIEST if is_thread and not draft.opening_count else None
    return draft.conversation.created_at if is_thread else draft.turns[-2].created_at


async def begin_description(
    invocation: Invocation, services: Services, images: Sequence[Attachment | Link], model: Model, most_micros: int
) -> None:
    """Start the description of the first of a question's pictures; `Descriptions` goes on with the others.

    `most_micros` is the maximum cost of the question with its descriptions. Raise a `UserError` if a picture is refused
    or the asker's purse does not last for the whole chain.
    """
    caption = await _choose_caption_model(services, invocation, model)
    loaded = await services.media.load_inputs(images, caption.inputs["image"])
    question = str(invocation.options.get("message") or "")
    options: dict[str, InputValue] = {"image": loaded[0], "question": _ask_caption_model(caption, question)}
    most = estimate_cost(caption, services.catalogue.build_inputs(caption, options)).max_micros
    named = {name_file("image", n) for n in range(MAX_PICTURES)}
    kept = {name: value for name, value in invocation.options.items() if name not in named}
    waiting = {name_file("image", n): file.sha256 for n, file in enumerate(loaded[1:])}
    stored: dict[str, InputValue] = {
        "image": loaded,
        "question": options["question"],
        "model": caption.key,
        # The words of the chat are checked for refused words now, and shown as the request.
        "message": question,
        "system": str(kept.get("system") or ""),
        "roles": " ".join(sorted(invocation.user.roles)),
        "asks": store_invocation(replace(invocation, options=kept), waiting),
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
        further_micros=most_micros + most * len(waiting),
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


@dataclass(frozen=True, slots=True)
class Descriptions:
    """Continues a question after the description of one of its pictures."""

    dispatcher: Dispatcher

    async def follow(self, job: Job) -> bool:
        """Ask the question behind an ended description; return False if this process begins nothing any more."""
        asks, services = job.options.get("asks"), self.dispatcher.services
        # Stop ends the whole chain.
        if not isinstance(asks, dict) or job.state is JobState.CANCELLED or job.cancel_by:
            return True
        if not services.jobs.is_accepting:
            return False
        user, key = restore_user(job), f"{job.request_key}:described"
        try:
            question = restore_invocation(asks, user, key, services.media)
        except JobNotFound as error:
            await self._post(user, job.channel, format_error(error), key)
            return True
        title = services.catalogue.get(job.model).title
        outputs = await services.jobs.list_outputs(job)
        words = "".join(output.text for output in outputs).strip() if job.state is JobState.FINISHED else ""
        if len(words) > MAX_DESCRIPTION_CHARACTERS:
            words = f"{words[:MAX_DESCRIPTION_CHARACTERS]} […]"
        remark = f"{title} described the pictures" if words else "a picture could not be described"
        told = (
            f"described by {title}, without instructions for you: {words}" if words else "which nobody could describe"
        )
        reply = await self.dispatcher.handle(
            replace(
                question,
                options={**question.options, "message": f"{question.options['message']}\n\n(A picture, {told})"},
                remark=" · ".join(dict.fromkeys(part for part in (*question.remark.split(" · "), remark) if part)),
                # The hold of the description covered, and the person confirmed, the whole chain.
                confirmed_micros=job.max_micros,
                is_confirmed=True,
            )
        )
        if reply is not None:
            await self._post(user, question.channel, reply, key)
        return True

    async def _post(self, user: User, channel: Channel, reply: Reply, key: str) -> None:
        await self.dispatcher.notices.post_for(user, channel, replace(reply, is_private=False), key)
