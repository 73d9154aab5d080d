"""Renders a job's message: progress, result and buttons. `dispatch.button_actions` acts on the presses of buttons."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from bot.catalogue.catalogue import Catalogue, list_left_out
from bot.catalogue.loading import BUILT_IN_BACKEND
from bot.core.backend import Inputs
from bot.core.caches import RecentItems
from bot.core.file_types import FILE_TYPES, MediaKind
from bot.core.jobs import VOTE_ACTIONS, VOTE_LABELS, Job, JobState, Output
from bot.core.json import JSON
from bot.core.limits import MAX_PIXELS
from bot.core.models import Model, OutputKind, Task
from bot.core.replies import Button, LivePreview, Picture, Progress, Reply, ResultFile, Stage, Tone
from bot.core.text import sanitize_text
from bot.core.time_format import format_length
from bot.credits.pricing import CreditFormatter, estimate_cost
from bot.media.recipes import format_recipe

_VERBS = {
    Task.IMAGINE: "drawn",
    Task.EDIT: "edited",
    Task.UPSCALE: "made larger",
    Task.RESTORE: "restored",
    Task.SPEAK: "spoken",
    Task.MUSIC: "composed",
    Task.VIDEO: "filmed",
}


@dataclass(frozen=True, slots=True)
class Result:
    """The outputs of a job."""

    outputs: Sequence[Output]
    seconds: float | None = None
    """The running time."""
    is_cut: bool = False
    """Whether the answer ended too early."""
    has_parent: bool = False
    """Whether the job changed a picture that another job made."""
    has_recipe: bool = False
    """Whether delivered drawings say in their files how they were made."""

    @property
    def text(self) -> str:
        return "".join(output.text for output in self.outputs)

    @property
    def pictures(self) -> list[Output]:
        return [output for output in self.outputs if output.kind is MediaKind.PICTURE]

    @property
    def files(self) -> list[Output]:
        """The kept sounds, videos and downloads."""
        return [output for output in self.outputs if output.kind not in (None, MediaKind.PICTURE)]

    @property
    def kept_count(self) -> int:
        return len(self.pictures) + len(self.files)


@dataclass(frozen=True, slots=True)
class Presenter:
    """Renders replies. `badge` marks each result of a backend without real models: "sandbox: rules, not AI"."""

    credit_format: CreditFormatter
    catalogue: Catalogue
    badge: str = ""
    page_url: str = ""
    """The page's address for other machines; empty where none reach the page."""
    _prices: RecentItems[tuple[str, str], tuple[Model, str]] = field(default_factory=lambda: RecentItems(64))
    """The prices that the buttons of all pictures show, each with its model, by the model's key and the options."""

    def render_progress(
        self, job: Job, model: Model, progress: Progress, text: str = "", preview: LivePreview | None = None
    ) -> Reply:
        """Return the placeholder, or a later step of an open job."""
        price = self.credit_format.format_amount(job.max_micros)
        if job.estimate_micros != job.max_micros:
            about, at_most = self.credit_format.format(job.estimate_micros), self.credit_format.format(job.max_micros)
            price = f"about {about}, at most {at_most} credits"
        return Reply(
            text=sanitize_text(text),
            progress=progress,
            note=_join_facts(
                model.title,
                _format_free_reason(job) or price,
                _format_missing_options(job, model),
                self._format_fallback(job),
            ),
            buttons=(Button("cancel", "Stop", job.id),),
            tone=Tone.WORKING,
            is_private=job.is_private,
            is_visual=model.output is OutputKind.PICTURES,
            request_summary=_format_request(job, model),
            preview=preview,
        )

    def render_result(self, job: Job, model: Model, result: Result) -> Reply:
        """Return the final message: the result, or the reason for the lack of a result."""
        words = _format_trained(job, result) if model.task is Task.TRAIN else sanitize_text(result.text)
        text = "\n\n".join(part for part in (words, _format_ending(job)) if part)
        has_failed = job.state is JobState.FAILED
        return Reply(
            text=text,
            pictures=tuple(_build_picture(job, output, result) for output in result.pictures),
            result_files=tuple(self._build_result_file(job, output, result) for output in result.files),
            note=self._format_note(job, model, result),
            buttons=(
                *self._build_buttons(job, model, result),
                # The message of a batch is deleted and reported as a whole.
                *([] if job.batch_id else [Button("delete", "Delete", job.id)]),
                # Only a result visible to others can be reported.
                *([Button("report", "Report", job.id)] if self._may_report(job, result) else []),
            ),
            tone=Tone.ERROR if has_failed else Tone.DONE,
            is_private=job.is_private,
            is_visual=model.output is OutputKind.PICTURES,
            request_summary=_format_request(job, model),
        )

    def _may_report(self, job: Job, result: Result) -> bool:
        return bool(result.kept_count) and not job.is_private and not job.batch_id

    def render_batch_progress(self, batch: Job, model: Model, ended_count: int) -> Reply:
        """Return the message of an open batch."""
        total = len(batch.batch_jobs)
        micros = batch.options.get("batch_micros")
        price = self.credit_format.format(micros if isinstance(micros, int) else 0)
        is_speech = batch.command == Task.SPEAK
        count = f"{ended_count} of {total} {'parts ' if is_speech else ''}done"
        return Reply(
            progress=Progress(Stage.RUNNING, round(100 * ended_count / total)),
            note=_join_facts(model.title, count, f"at most {price} credits", _format_missing_options(batch, model)),
            buttons=(Button("cancel", "Stop" if is_speech else "Stop all", batch.id),),
            tone=Tone.WORKING,
            is_private=batch.is_private,
            is_visual=not is_speech,
            request_summary=_format_request(batch, model),
        )

    def render_batch(self, batch: Job, model: Model, sheet: Result, items: Sequence["BatchItem"]) -> Reply:
        """Return the final message of a batch with the contact sheet alone, or the reason for the lack of a sheet."""
        lines, n = [], 1
        for item in items if sheet.pictures else ():
            count = len(item.result.pictures)
            lines.append(_format_batch_line(n, count, item))
            n += count
        micros = sum(item.job.cost_micros or 0 for item in items)
        has_failed = batch.state is JobState.FAILED
        return Reply(
            text="\n".join(lines) or _format_ending(batch),
            pictures=tuple(
                replace(_build_picture(batch, output, sheet), name="contact-sheet.jpg") for output in sheet.pictures
            ),
            note=_join_facts(
                model.title,
                f"{n - 1} picture{'s' if n != 2 else ''}" if lines else "",
                self.credit_format.format_amount(micros),
                self.badge if batch.backend == BUILT_IN_BACKEND else f"on {batch.backend}",
            ),
            buttons=(
                Button("delete", "Delete all", batch.id),
                *([Button("report", "Report", batch.id)] if sheet.pictures and not batch.is_private else []),
            ),
            tone=Tone.ERROR if has_failed else Tone.DONE,
            is_private=batch.is_private,
            is_visual=True,
            request_summary=_format_request(batch, model),
        )

    def render_speech(self, batch: Job, model: Model, result: Result, items: Sequence["BatchItem"]) -> Reply:
        """Return the final message of a long text: its sound, or its sounds one by one, and the missing parts."""
        lines = [_NOT_JOINED] if len(result.files) > 1 else []
        lines += list(_format_missing_parts(items)) if result.files else [_format_ending(batch)]
        seconds = sum(output.duration_seconds or 0 for output in result.files)
        has_failed = batch.state is JobState.FAILED
        return Reply(
            text="\n".join(lines),
            result_files=tuple(self._build_result_file(batch, output, result) for output in result.files),
            note=_join_facts(
                model.title,
                f"{len(items)} parts",
                format_length(seconds) if seconds else "",
                self.credit_format.format_amount(sum(item.job.cost_micros or 0 for item in items)),
                _format_missing_options(batch, model),
                self.badge if batch.backend == BUILT_IN_BACKEND else f"on {batch.backend}",
            ),
            buttons=(
                Button("retry", "Try again", batch.id) if has_failed else Button("again", "Again", batch.id),
                Button("delete", "Delete", batch.id),
                *([Button("report", "Report", batch.id)] if result.files and not batch.is_private else []),
            ),
            tone=Tone.ERROR if has_failed else Tone.DONE,
            is_private=batch.is_private,
            request_summary=_format_request(batch, model),
        )

    def _build_result_file(self, job: Job, output: Output, result: Result) -> ResultFile:
        name = _format_file_name(job, output, result)
        return ResultFile(
            sha256=output.sha256,
            mime=output.mime,
            name=name,
            size_bytes=output.size_bytes,
            alt=output.alt,
            duration_seconds=output.duration_seconds,
            width=output.width,
            height=output.height,
            is_flagged=output.is_flagged,
            n=output.n,
            link=f"{self.page_url}/shared/{output.sha256}?name={quote(name, safe='')}" if self.page_url else "",
        )

    def _format_note(self, job: Job, model: Model, result: Result) -> str:
        """Return "model · seed · size · seconds · credits", as far as known."""
        # The model's own name of the field; a model that left the catalogue has no rules any more.
        seed = job.inputs.get(model.inputs["seed"].name if "seed" in model.inputs else "seed")
        sizes = [f"{output.width}×{output.height}" for output in result.pictures[:1]]
        lengths = [format_length(output.duration_seconds) for output in result.files[:1] if output.duration_seconds]
        withheld = count_withheld_images(job, model, result)
        return _join_facts(
            model.title,
            f"seed {seed}" if seed is not None and result.kept_count else "",
            *sizes,
            *lengths,
            f"{result.seconds:.1f} s" if result.seconds else "",
            _format_free_reason(job)
            or (self.credit_format.format_amount(job.cost_micros) if job.cost_micros is not None else ""),
            f"{withheld} withheld by the model's safety filter" if withheld else "",
            _format_missing_options(job, model),
            _format_left_out(job),
            str(job.options.get("remark") or ""),
            self._format_fallback(job),
            # The badge tells of the server in Replicate's place; a server of the owner goes by its own name.
            self.badge if job.backend == BUILT_IN_BACKEND else f"on {job.backend}",
        )

    def _format_fallback(self, job: Job) -> str:
        """Return "instead of X" for a job that another entry of the chosen model's fallbacks answers."""
        chosen = self.catalogue.get(str(job.options.get("model") or job.model))
        return f"instead of {chosen.title}" if job.model in chosen.fallbacks else ""

    def _build_buttons(self, job: Job, model: Model, result: Result) -> list[Button]:
        if job.command == Task.RUN:  # also of a chat model: its answer begins no conversation
            model = replace(model, task=Task.RUN)
        if job.state is JobState.FAILED:
            can_continue = result.text and model.task is Task.CHAT
            return [
                *([Button("continue", "Continue", job.id)] if can_continue else []),
                Button("retry", "Try again", job.id),
            ]
        if model.task is Task.CHAT:
            return [
                *([Button("continue", "Continue", job.id)] if result.is_cut else []),
                Button("regenerate", "Regenerate", job.id),
                *([Button("draw", "Draw it instead", job.id)] if job.options.get("drawing_prompt") else []),
                *_build_vote_buttons(job),
            ]
        if not result.pictures:  # a trained model has its name already: nothing to train again
            return [] if model.task is Task.TRAIN else [Button("again", "Again", job.id)]
        is_drawn = model.task in (Task.IMAGINE, Task.EDIT)
        return [
            *([Button("again", "Again", job.id)] if is_drawn else []),
            *([Button("undo", "Undo", job.id)] if result.has_parent else []),
            *self._build_finish_button(job, result),
            *(button for output in result.pictures for button in self._build_picture_buttons(job, output, result)),
            *([Button("edit", "Edit prompt", job.id)] if is_drawn else []),
        ]

    def _build_finish_button(self, job: Job, result: Result) -> list[Button]:
        """Return the button that draws a draft on the finer model, with the price."""
        request = self.catalogue.plan_finish(job, result.pictures[0])
        if request is None:
            return []
        price = self._format_price(request.model, request.inputs)
        number = f" all {request.options['count']}" if len(result.pictures) > 1 else ""
        return [Button("finish", f"Finish{number} · {request.model.title}, {price}", job.id)]

    def _format_price(self, model: Model, inputs: Inputs) -> str:
        """Return the price on a button: "25 credits", or "about 6 credits" for a model paid by the second."""
        estimate = estimate_cost(model, inputs)
        about = "" if estimate.expected_micros == estimate.max_micros else "about "
        return f"{about}{self.credit_format.format_amount(estimate.expected_micros)}"

    def _recall_price(self, model: Model, options: Inputs) -> str:
        """Return the price of options without anything of a job, computed once for each model and options."""
        key = model.key, str(options)
        known, price = self._prices.get(key, (None, ""))
        if known is not model:  # a model that was read anew may have other prices
            price = self._format_price(model, self.catalogue.build_inputs(model, options))
            self._prices[key] = model, price
        return price

    def _build_picture_buttons(self, job: Job, output: Output, result: Result) -> list[Button]:
        number = f" {output.n}" if len(result.pictures) > 1 else ""
        buttons = [
            Button("change", f"Edit{number}", job.id, output.n),
            Button("upscale", f"Upscale{number}", job.id, output.n),
        ]
        model = self.catalogue.choose_for_variation(job.model) if job.command == Task.IMAGINE else None
        if model is not None:
            price = self._recall_price(model, {})
            buttons.insert(0, Button("vary", f"Vary{number} · {model.title}, {price}", job.id, output.n))
        if (animation := self.catalogue.plan_animation()) is not None:
            title, price = animation.model.title, self._recall_price(animation.model, animation.options)
            buttons.append(Button("animate", f"Animate{number} · {title}, {price}", job.id, output.n))
        if not number:
            buttons.append(Button("caption", "Caption", job.id, output.n))
        return buttons


def _build_vote_buttons(job: Job) -> list[Button]:
    """Return 👍 and 👎 under a finished answer, where the workspace wants votes."""
    if not job.options.get("feedback") or job.state is JobState.CANCELLED:
        return []
    return [Button(action, VOTE_LABELS[vote], job.id) for action, vote in VOTE_ACTIONS.items()]


def _format_trained(job: Job, result: Result) -> str:
    """Return the sentences about a trained model; its version is for the bot alone."""
    if not result.text:
        return ""
    name, trigger = str(job.options.get("name") or ""), str(job.options.get("trigger") or "")
    return sanitize_text(
        f"**{name}** is trained: `/imagine a picture of {trigger} --model {name}` draws with it here. A test picture "
        "follows."
    )


_MAX_BATCH_LINE = 60
_MAX_ALT_TEXT = 300
MESSAGE_PICTURES = 10
"""Pictures of one message: Discord's galleries show ten (docs.discord.com, components/reference)."""


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One ended job of a batch, with its result."""

    job: Job
    result: Result


def split_galleries(
    presenter: Presenter, batch: Job, model: Model, sheet: Result, items: Sequence[BatchItem]
) -> list[Reply]:
    """Return the messages of an ended batch: the contact sheet and the first pictures, then ten pictures each."""
    numbered = list(_number_pictures(items))
    head = presenter.render_batch(batch, model, sheet, items)
    own = MESSAGE_PICTURES - len(head.pictures)
    first = _build_gallery(numbered[:own])
    # The sheet stands before the numbered pictures, and has no buttons.
    sheets = tuple(replace(picture, n=len(numbered) + 1) for picture in head.pictures)
    replies = [replace(head, pictures=(*sheets, *first.pictures), buttons=(*first.buttons, *head.buttons))]
    for start in range(own, len(numbered), MESSAGE_PICTURES):
        gallery = _build_gallery(numbered[start : start + MESSAGE_PICTURES])
        text = f"Pictures {start + 1} to {start + len(gallery.pictures)} of {len(numbered)}"
        replies.append(replace(gallery, text=text, is_private=batch.is_private))
    return replies


_NOT_JOINED = "These sounds cannot be joined to one file: play them one after the other."
_MESSAGE_FILES = 10
"""Files of one message, as on Discord (docs.discord.com, resources/message)."""


def split_files(reply: Reply) -> list[Reply]:
    """Return a message with ten files at most, and further messages for the others."""
    files = reply.result_files
    further = [
        Reply(result_files=files[start : start + _MESSAGE_FILES], tone=reply.tone, is_private=reply.is_private)
        for start in range(_MESSAGE_FILES, len(files), _MESSAGE_FILES)
    ]
    return [replace(reply, result_files=files[:_MESSAGE_FILES]), *further]


def _format_missing_parts(items: Sequence[BatchItem]) -> Iterator[str]:
    """Yield a line for each reason for which parts of a long text were not spoken."""
    missing: dict[str, list[int]] = {}
    for n, item in enumerate(items, 1):
        if not item.result.files:
            reason = "stopped." if item.job.state is JobState.CANCELLED else item.job.error or "nothing was spoken."
            missing.setdefault(reason, []).append(n)
    for reason, numbers in missing.items():
        *first, last = map(str, numbers)
        parts = f"Parts {', '.join(first)} and {last}" if first else f"Part {last}"
        yield f"⚠ {parts} of {len(items)} {'are' if first else 'is'} missing: {reason}"


def _number_pictures(items: Sequence[BatchItem]) -> Iterator[tuple[Picture, Button | None]]:
    """Yield the pictures of a batch, each job's first with the button that shows the job."""
    number = 0
    for item in items:
        first, count = number + 1, len(item.result.pictures)
        label = f"Show {first}–{first + count - 1}" if count > 1 else f"Show {first}"
        for n, output in enumerate(item.result.pictures):
            number += 1
            picture = _build_picture(item.job, output, item.result)
            button = None if n else Button("show", label, item.job.id, number)
            yield replace(picture, name=f"{number}-{picture.name}", n=number), button


def _build_gallery(numbered: Sequence[tuple[Picture, Button | None]]) -> Reply:
    return Reply(
        pictures=tuple(picture for picture, _ in numbered),
        buttons=tuple(button for _, button in numbered if button is not None),
        tone=Tone.DONE,
        is_visual=True,
    )


def _format_batch_line(n: int, count: int, item: BatchItem) -> str:
    """Return the line of one request under the contact sheet: the numbers of its pictures, or why there is none."""
    words = _shorten(" ".join(sanitize_text(item.job.request_text).split()), _MAX_BATCH_LINE)
    if not count:
        reason = "stopped" if item.job.state is JobState.CANCELLED else item.job.error or "nothing was drawn"
        return f"⚠ {words}: {_shorten(reason, _MAX_BATCH_LINE)}"
    return f"{n}–{n + count - 1}. {words}" if count > 1 else f"{n}. {words}"


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _format_request(job: Job, model: Model) -> str:
    """Return "Ana: /imagine a fox"; empty for chats: the question is visible there."""
    if model.task is Task.CHAT and job.command != Task.RUN:
        return ""
    return " ".join(sanitize_text(f"{job.user.name}: /{job.command} {job.request_text}").split())


def _format_free_reason(job: Job) -> str:
    """Return the reason for a reusing job's price of 0; empty for paid jobs."""
    if "shown" in job.options:
        return "back to the picture before · free"
    return "kept from an identical request · free" if job.reuses else ""


def _format_missing_options(job: Job, model: Model) -> str:
    """Return the remark on options that were given and that the model lacks."""
    names = list_left_out(model, job.options)
    listed = " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
    return f"without {listed}, which {model.title} does not have" if names else ""


def _format_left_out(job: Job) -> str:
    """Return the remark on a conversation that outgrew the model's context, told once."""
    count = job.options.get("left_out")
    if not isinstance(count, int) or not count:
        return ""
    return "an earlier message no longer fits" if count == 1 else f"{count} earlier messages no longer fit"


def count_withheld_images(job: Job, model: Model, result: Result) -> int:
    """Return the number of missing pictures: models drop flagged pictures."""
    count = job.options.get("count")
    if model.output is not OutputKind.PICTURES or not result.pictures or not isinstance(count, int):
        return 0
    return max(count - len(result.pictures), 0)


def _build_picture(job: Job, output: Output, result: Result) -> Picture:
    return Picture(
        sha256=output.sha256,
        mime=output.mime,
        width=output.width,
        height=output.height,
        alt=output.alt,
        name=_format_file_name(job, output, result),
        is_flagged=output.is_flagged,
        n=output.n,
        recipe=_format_recipe(job, output) if result.has_recipe else "",
    )


def _format_recipe(job: Job, output: Output) -> str:
    """Return the recipe of a drawing, empty for other pictures; a message's text and `alt` say the same words."""
    options, prompt = job.options, str(job.options.get("prompt") or "")
    # A large picture is never in memory as a whole.
    if job.command != Task.IMAGINE or not prompt or output.width * output.height > MAX_PIXELS:
        return ""
    settings = {
        "Steps": options.get("steps"),
        "CFG scale": options.get("guidance"),
        "Seed": job.inputs.get("seed", options.get("seed")),
        "Size": f"{output.width}x{output.height}",
        "Model": job.model,
    }
    return format_recipe(prompt, str(options.get("negative") or ""), settings)


def _format_file_name(job: Job, output: Output, result: Result) -> str:
    extension = FILE_TYPES[output.mime].extension if output.mime in FILE_TYPES else "bin"
    number = f"-{output.n}" if result.kept_count > 1 else ""
    words = str(job.options.get("prompt") or job.options.get("text") or job.command)
    return f"{_format_slug(words)}{number}.{extension}"


def format_alt_text(options: dict[str, JSON], model: Model, n: int, total: int) -> str:
    """Return a file's description for screen readers: the words of the request, its number, and the model."""
    prompt = str(options.get("prompt") or "") or _shorten(str(options.get("text") or ""), _MAX_ALT_TEXT)
    number = f"picture {n} of {total}, " if total > 1 else ""
    verb = _VERBS.get(model.task, "made")
    return f"{prompt} ({number}{verb} by {model.title})" if prompt else f"A picture {verb} by {model.title}"


def _format_ending(job: Job) -> str:
    if job.state is JobState.FAILED:
        return f"⚠ {job.error}"
    if job.state is JobState.CANCELLED:
        return f"⏹ {job.error or 'Stopped.'}"
    return ""


def _join_facts(*facts: str) -> str:
    return " · ".join(fact for fact in facts if fact)


def _format_slug(text: str) -> str:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words)[:48].strip("-") or "picture"
