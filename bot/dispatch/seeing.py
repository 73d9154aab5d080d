"""Lets a chat model see the pictures of a conversation, besides those that come with the question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.conversations.conversations import Draft
from bot.core.backend import InputFile, Inputs
from bot.core.errors import UserError
from bot.core.file_types import MediaKind
from bot.core.invocations import PREPARED, Attachment, EarlierMessage, Invocation, format_left_out_pictures
from bot.core.limits import MAX_EARLIER_PICTURES, MAX_EARLIER_PIXELS, MAX_SEARCHED_PICTURES
from bot.core.models import Model
from bot.credits.pricing import USUAL_PICTURE_TOKENS, estimate_cost
from bot.dispatch.declaration import Services

_EARLIEST = timedelta(days=1)
"""How old a thread's pictures may be when its first question is a command."""


@dataclass(frozen=True, slots=True)
class EarlierPictures:
    """Pictures from before a question, oldest first, as inputs of a model."""

    files: tuple[InputFile, ...] = ()
    left_out_count: int = 0
    has_more: bool = False
    """Whether the conversation has older pictures still, which were not looked up."""
    shown_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The SHA-256s of pictures that no stored turn shows yet, by the id of the turn that will."""
    borrowed: tuple[str, ...] = ()
    """The SHA-256s of files that belong to earlier requests, and are not deleted with the question."""

    @property
    def remark(self) -> str:
        """What the reply says about pictures that the model does not see."""
        return format_left_out_pictures(self.left_out_count, has_more=self.has_more)

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
    picture: Attachment | None = None
    """The picture of a platform's message; None for a stored file, which may be of another kind, or gone."""
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
        return await _count_unseen(services, invocation, draft, earlier_messages)
    # At least half of the context is for words.
    fitting = (model.context_tokens // 2) // USUAL_PICTURE_TOKENS if model.context_tokens else MAX_EARLIER_PICTURES
    room = min(rule.max_files - len(own), MAX_EARLIER_PICTURES, fitting)
    files: list[InputFile] = []
    shown_by: dict[str, tuple[str, ...]] = {}
    borrowed: list[str] = []
    seen, left_out_count, pixels = {file.sha256 for file in own}, 0, 0
    candidates = await _list_candidates(services, invocation, draft, earlier_messages)
    candidates = _drop_repeated(candidate for candidate in candidates if candidate.sha256 not in seen)
    for candidate in candidates[:MAX_SEARCHED_PICTURES]:
        if (picture := candidate.picture or _load_picture(services, candidate.sha256)) is None:
            continue
        file = await _load(services, picture, model) if len(files) < room else None
        size = file.width_pixels * file.height_pixels if file is not None else 0
        if file is None or pixels + size > MAX_EARLIER_PIXELS:
            services.media.release([file] if file is not None else [])
            left_out_count += 1
            continue
        # A platform's message may show a picture that a turn or a job shows too.
        if file.sha256 in seen:
            continue
        seen.add(file.sha256)
        pixels += size
        files.insert(0, file)
        borrowed += [file.sha256] if file.sha256 == candidate.sha256 else []
        if candidate.turn:
            # The whole picture, though this model may see a smaller one.
            shown_by[candidate.turn] = (candidate.sha256 or file.sha256, *shown_by.get(candidate.turn, ()))
    has_more = len(candidates) > MAX_SEARCHED_PICTURES
    return EarlierPictures(tuple(files), left_out_count, has_more, shown_by, tuple(borrowed))


def _drop_repeated(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """Return the candidates without those that an earlier one stands for: a turn and its job show one picture."""
    known: set[str] = set()
    kept: list[_Candidate] = []
    for candidate in candidates:
        if candidate.sha256 not in known:
            kept.append(candidate)
        known |= {candidate.sha256} - {""}
    return kept


async def _count_unseen(
    services: Services, invocation: Invocation, draft: Draft, earlier_messages: Sequence[EarlierMessage]
) -> EarlierPictures:
    """Return the number of pictures that came since the turn before, for a model that cannot see: told once."""
    count = len([*_list_messages(draft, earlier_messages)])
    if draft.is_stored or _is_follow_up(invocation) or len(draft.turns) == 1:
        return EarlierPictures(left_out_count=count)
    files = await services.jobs.list_files(invocation.channel, draft.turns[-2].created_at)
    # A described picture stands in the question by its words.
    unseen = list(dict.fromkeys(sha256 for job, sha256 in reversed(files) if not job.options.get("asks")))
    searched = unseen[:MAX_SEARCHED_PICTURES]
    count += sum(1 for sha256 in searched if _load_picture(services, sha256) is not None)
    return EarlierPictures(left_out_count=count, has_more=len(unseen) > len(searched))


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
    return EarlierPictures(left_out_count=earlier.left_out_count + len(earlier.files), has_more=earlier.has_more)


async def _load(services: Services, picture: Attachment, model: Model) -> InputFile | None:
    try:
        return await services.media.load_input(picture, model.inputs["image"])
    except UserError:
        return None


async def _list_candidates(
    services: Services, invocation: Invocation, draft: Draft, earlier_messages: Sequence[EarlierMessage]
) -> list[_Candidate]:
    """Return the pictures of turns, of messages from before the bot joined, and of the place's jobs; newest first.

    Stored files are not looked up: a long conversation has hundreds.
    """
    question = draft.question
    shown = [(turn.created_at, sha256, "") for turn in draft.turns for sha256 in turn.files]
    since = None if draft.is_stored or _is_follow_up(invocation) else _find_start(invocation, draft)
    if since is not None:
        files = await services.jobs.list_files(invocation.channel, since)
        shown += [(job.created_at, sha256, question.id) for job, sha256 in files]
    found = [*_list_messages(draft, earlier_messages)]
    found += [_Candidate(shown_at, sha256, turn=turn) for shown_at, sha256, turn in shown]
    found.sort(key=lambda candidate: candidate.shown_at)
    return found[::-1]


def _is_follow_up(invocation: Invocation) -> bool:
    """Return whether a button or a tool asks, about an answer that stands somewhere in the conversation."""
    return invocation.action not in ("", PREPARED)


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
