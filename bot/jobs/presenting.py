"""Renders a job's message: progress, result and buttons. `dispatch.button_actions` acts on the presses of buttons."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from bot.catalogue.catalogue import Catalogue, list_left_out
from bot.catalogue.loading import BUILT_IN_BACKEND
from bot.core.backend import Inputs
from bot.core.feedback import VOTE_ACTIONS, VOTE_LABELS
from bot.core.file_types import FILE_TYPES, MediaKind
from bot.core.jobs import Job, JobState, Output
from bot.core.json import JSON
from bot.core.models import Model, OutputKind, Task
from bot.core.replies import Button, LivePreview, Picture, Progress, Reply, ResultFile, Tone
from bot.core.time_format import format_length
from bot.credits.pricing import CreditFormatter, estimate_cost
from bot.streaming.safety import sanitize_text

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

    def render_progress(
        self, job: Job, model: Model, progress: Progress, text: str = "", preview: LivePreview | None = None
    ) -> Reply:
        """Return the placeholder, or a later step of an open job."""
        price = f"{self.credit_format.format(job.max_micros)} credits"
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
                Button("delete", "Delete", job.id),
                # Only a result visible to others can be reported.
                *([Button("report", "Report", job.id)] if result.kept_count and not job.is_private else []),
            ),
            tone=Tone.ERROR if has_failed else Tone.DONE,
            is_private=job.is_private,
            is_visual=model.output is OutputKind.PICTURES,
            request_summary=_format_request(job, model),
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
            or (f"{self.credit_format.format(job.cost_micros)} credits" if job.cost_micros is not None else ""),
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
        price = self._format_price(request.model, request.options)
        number = f" all {request.options['count']}" if len(result.pictures) > 1 else ""
        return [Button("finish", f"Finish{number} · {request.model.title}, {price}", job.id)]

    def _format_price(self, model: Model, options: Inputs) -> str:
        """Return the price on a button: "25 credits", or "about 6 credits" for a model paid by the second."""
        estimate = estimate_cost(model, self.catalogue.build_inputs(model, options))
        about = "" if estimate.expected_micros == estimate.max_micros else "about "
        return f"{about}{self.credit_format.format(estimate.expected_micros)} credits"

    def _build_picture_buttons(self, job: Job, output: Output, result: Result) -> list[Button]:
        number = f" {output.n}" if len(result.pictures) > 1 else ""
        buttons = [
            Button("change", f"Edit{number}", job.id, output.n),
            Button("upscale", f"Upscale{number}", job.id, output.n),
        ]
        model = self.catalogue.choose_for_variation(job.model) if job.command == Task.IMAGINE else None
        if model is not None:
            price = self._format_price(model, {})
            buttons.insert(0, Button("vary", f"Vary{number} · {model.title}, {price}", job.id, output.n))
        if (animation := self.catalogue.plan_animation()) is not None:
            title, price = animation.model.title, self._format_price(animation.model, animation.options)
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
    )


def _format_file_name(job: Job, output: Output, result: Result) -> str:
    extension = FILE_TYPES[output.mime].extension if output.mime in FILE_TYPES else "bin"
    number = f"-{output.n}" if result.kept_count > 1 else ""
    words = str(job.options.get("prompt") or job.options.get("text") or job.command)
    return f"{_format_slug(words)}{number}.{extension}"


def format_alt_text(options: dict[str, JSON], model: Model, n: int, total: int) -> str:
    """Return a picture's description for screen readers: the prompt, the number of the picture, and the model."""
    prompt = str(options.get("prompt") or "")
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
