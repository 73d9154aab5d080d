"""What a job's message shows at each moment. A job's buttons are data: `dispatch.presses` says what they do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.catalogue.catalogue import Catalogue
from bot.core.jobs import Job, JobState, Output
from bot.core.json import JSON
from bot.core.models import Model, OutputKind, Task
from bot.core.replies import Button, Picture, Progress, Reply, Tone
from bot.credits.pricing import CreditFormatter, estimate_cost
from bot.streaming.safety import sanitize_text

_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


@dataclass(frozen=True, slots=True)
class Result:
    """What a job came to: its outputs, the running time in seconds, and whether the answer stopped too early."""

    outputs: Sequence[Output]
    seconds: float | None = None
    is_cut: bool = False

    @property
    def text(self) -> str:
        return "".join(output.text for output in self.outputs)

    @property
    def pictures(self) -> list[Output]:
        return [output for output in self.outputs if output.sha256]


@dataclass(frozen=True, slots=True)
class Presenter:
    """`badge` names a backend that is not the real one, on every result, e.g. "sandbox: rules, not AI"."""

    credit_format: CreditFormatter
    catalogue: Catalogue
    badge: str = ""

    def render_progress(self, job: Job, model: Model, progress: Progress, text: str = "") -> Reply:
        """The placeholder and every step until the end."""
        price = f"{self.credit_format.format(job.max_micros)} credits"
        if job.estimate_micros != job.max_micros:
            about, at_most = self.credit_format.format(job.estimate_micros), self.credit_format.format(job.max_micros)
            price = f"about {about}, at most {at_most} credits"
        return Reply(
            text=sanitize_text(text),
            progress=progress,
            note=_line(model.title, _format_free_reason(job) or price),
            buttons=(Button("cancel", "Stop", job.id),),
            tone=Tone.WORKING,
            is_private=job.is_private,
            is_visual=model.output is OutputKind.PICTURES,
            request_summary=_format_request(job, model),
        )

    def render_result(self, job: Job, model: Model, result: Result) -> Reply:
        """The last word: the result, or why there is none."""
        told = _ENDINGS.get(job.state)
        ending = "" if told is None else told(job)
        text = "\n\n".join(part for part in (sanitize_text(result.text), ending) if part)
        has_failed = job.state is JobState.FAILED
        return Reply(
            text=text,
            pictures=tuple(_picture(job, model, output, result) for output in result.pictures),
            note=self._facts(job, model, result),
            buttons=(*self._buttons(job, model, result), Button("delete", "Delete", job.id), *_report(job, result)),
            tone=Tone.ERROR if has_failed else Tone.DONE,
            is_private=job.is_private,
            is_visual=model.output is OutputKind.PICTURES,
            request_summary=_format_request(job, model),
        )

    def _facts(self, job: Job, model: Model, result: Result) -> str:
        """Model · seed · size · seconds · credits, as far as they are known."""
        seed = job.inputs.get("seed")
        sizes = [f"{output.width}×{output.height}" for output in result.pictures[:1]]
        withheld = count_withheld_images(job, model, result)
        return _line(
            model.title,
            f"seed {seed}" if seed is not None and result.pictures else "",
            *sizes,
            f"{result.seconds:.1f} s" if result.seconds else "",
            _format_free_reason(job)
            or (f"{self.credit_format.format(job.cost_micros)} credits" if job.cost_micros is not None else ""),
            f"{withheld} withheld by the model's safety filter" if withheld else "",
            self.badge,
        )

    def _buttons(self, job: Job, model: Model, result: Result) -> list[Button]:
        if job.state is JobState.FAILED:
            continue_it = [Button("continue", "Continue", job.id)] if result.text and model.task is Task.CHAT else []
            return [*continue_it, Button("retry", "Try again", job.id)]
        if model.task is Task.CHAT:
            continue_it = [Button("continue", "Continue", job.id)] if result.is_cut else []
            return [*continue_it, Button("regenerate", "Regenerate", job.id)]
        if not result.pictures:
            return [Button("again", "Again", job.id)]
        is_drawn = model.task is Task.IMAGINE
        return [
            *([Button("again", "Again", job.id)] if is_drawn else []),
            *(button for output in result.pictures for button in self._picture_buttons(job, output, result)),
            *([Button("edit", "Edit prompt", job.id)] if is_drawn else []),
        ]

    def _picture_buttons(self, job: Job, output: Output, result: Result) -> list[Button]:
        which = f" {output.n}" if len(result.pictures) > 1 else ""
        buttons = [Button("upscale", f"Upscale{which}", job.id, output.n)]
        model = self.catalogue.choose_for_variation(job.model) if job.command == Task.IMAGINE else None
        if model is not None:
            price = self.credit_format.format(estimate_cost(model, {}).expected_micros)
            buttons.insert(0, Button("vary", f"Vary{which} · {model.title}, {price} credits", job.id, output.n))
        if not which:
            buttons.append(Button("caption", "Caption", job.id, output.n))
        return buttons


def _format_request(job: Job, model: Model) -> str:
    """Who asked, and what. A chat answers words that stand above it anyway."""
    if model.task is Task.CHAT:
        return ""
    return " ".join(sanitize_text(f"{job.user.name}: /{job.command} {job.request_text}").split())


def _format_free_reason(job: Job) -> str:
    """Say why a job that reuses a result costs nothing."""
    return "kept from an identical request · free" if job.reuses else ""


def _report(job: Job, result: Result) -> list[Button]:
    """What others can see can be reported."""
    return [Button("report", "Report", job.id)] if result.pictures and not job.is_private else []


def count_withheld_images(job: Job, model: Model, result: Result) -> int:
    """How many pictures the model left out: flagged ones are dropped from its list."""
    asked = job.options.get("count")
    is_short = model.output is OutputKind.PICTURES and bool(result.pictures) and isinstance(asked, int)
    return max(asked - len(result.pictures), 0) if is_short and isinstance(asked, int) else 0


def _picture(job: Job, model: Model, output: Output, result: Result) -> Picture:
    extension = _EXTENSIONS.get(output.mime, "bin")
    number = f"-{output.n}" if len(result.pictures) > 1 else ""
    return Picture(
        sha256=output.sha256,
        mime=output.mime,
        width=output.width,
        height=output.height,
        alt=output.alt,
        name=f"{_slug(str(job.options.get('prompt') or job.command))}{number}.{extension}",
        is_flagged=output.is_flagged,
    )


def format_alt_text(options: dict[str, JSON], model: Model, n: int, total: int) -> str:
    """What a person who cannot see a picture reads: the prompt, which of how many, and who made it."""
    prompt = str(options.get("prompt") or "")
    which = f"picture {n} of {total}, " if total > 1 else ""
    made = {"imagine": "drawn", "upscale": "made larger"}.get(model.task, "made")
    return f"{prompt} ({which}{made} by {model.title})" if prompt else f"A picture {made} by {model.title}"


def _stopped(job: Job) -> str:
    return f"⏹ {job.error}" if job.error else "⏹ Stopped."


def _failed(job: Job) -> str:
    return f"⚠ {job.error}"


_ENDINGS = {JobState.FAILED: _failed, JobState.CANCELLED: _stopped}


def _line(*facts: str) -> str:
    return " · ".join(fact for fact in facts if fact)


def _slug(text: str) -> str:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words)[:48].strip("-") or "picture"
