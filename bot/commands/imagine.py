"""/imagine: draws pictures from words."""

from collections.abc import Sequence

from bot.core.backend import InputFile, InputValue
from bot.core.errors import BadOption, RequestRefused
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.limits import MAX_BATCH_PICTURES, MAX_PROMPT_CHARACTERS
from bot.core.models import Model, Task
from bot.core.replies import Reply
from bot.dispatch.declaration import MAX_PICTURES, Services, command, option
from bot.dispatch.forms import fill_form
from bot.dispatch.parsing import count_prompts, expand_prompts, split_lines
from bot.dispatch.presets import PictureOptions, Presets, apply_preset, load_presets, suggest_presets
from bot.jobs.batches import BatchRequest

USUAL_TOLERANCE = 2
"""The safety tolerance of the models with such a field when none is given (flux-1.1-pro, FLUX.2: 1 to 5 or 6)."""


@command("imagine", task=Task.IMAGINE, contexts={"picture": "Remix"})
class Imagine(PictureOptions):
    """Draw pictures from words."""

    prompt: str = option("What should the picture show?", max_length=MAX_PROMPT_CHARACTERS, words=True)
    images: tuple[Attachment | Link, ...] = option(
        "A picture to start from, or references?", default=(), name="image", max_files=MAX_PICTURES
    )
    batch: bool = option("May lines and choices such as {red|blue} draw a picture each?", default=True)
    preset: str = option(
        "Which preset? The other options win over its own.",
        default="",
        max_length=32,
        autocomplete=suggest_presets(),
        prepare=load_presets,
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply | None:
        if self.preset:
            preset = await Presets(services).find(invocation.user, self.preset)
            merged = apply_preset(preset, invocation, self.declaration, services.catalogue)
            return await fill_form(Imagine, merged).answer(merged, services)
        await self._check_tolerance(invocation, services)
        model = await services.choose_model(
            invocation.user,
            Task.IMAGINE,
            self.model,
            required_option="image" if self.images else "",
            file_count=len(self.images),
        )
        prompts = self._list_prompts(invocation)
        images = await services.media.load_inputs(self.images, model.inputs.get("image"))
        requests = [
            BatchRequest(options, {**options, "model": model.key})
            for options in (self._build_options(model, images, prompt) for prompt in prompts)
        ]
        if len(requests) > 1:
            alternative = ("As one prompt", {"batch": False})
            await services.jobs.start_batch(invocation, model, requests, alternative=alternative)
            return None
        await services.jobs.start(invocation, model, requests[0].options, stored_options=requests[0].stored_options)
        return None

    def _list_prompts(self, invocation: Invocation) -> list[str]:
        """Return the prompts in the words of a person. Raise `BadOption` for more pictures than one batch may have.

        A button repeats a prompt as it was, and a chat model asks for one picture.
        """
        if not self.batch or invocation.parent_job:
            return [self.prompt]
        lines = split_lines(self.prompt)
        count = count_prompts(lines) * self.count
        if count > MAX_BATCH_PICTURES and count > self.count:
            raise BadOption(
                f"That makes {count:,} pictures, and {MAX_BATCH_PICTURES} at once are the most: give fewer lines or "
                "choices, or say batch no for one prompt.",
                option="prompt",
            )
        return expand_prompts(lines) if len(lines) > 1 or "{" in self.prompt else [self.prompt]

    def _build_options(self, model: Model, images: Sequence[InputFile], prompt: str) -> dict[str, InputValue]:
        return {
            "prompt": prompt,
            "aspect": self.aspect,
            # A model without a count draws a single picture: leave 1 out, and let the model's rules refuse more.
            "count": self.count if self.count > 1 or "count" in model.inputs else None,
            "quality": self.quality,
            "resolution": self.resolution,
            "seed": self.seed,
            "negative": self.negative,
            "steps": self.steps,
            "guidance": self.guidance,
            "scheduler": self.scheduler,
            "prompt_upsampling": self.prompt_upsampling or None,
            "safety_tolerance": self.safety_tolerance,
            "format": self.format,
            "image": tuple(images) or None,
            "strength": self.strength,
        }

    async def _check_tolerance(self, invocation: Invocation, services: Services) -> None:
        """Raise `RequestRefused` for a looser filter than usual where no adult pictures may be shown."""
        if self.safety_tolerance is None or self.safety_tolerance <= USUAL_TOLERANCE:
            return
        user = invocation.user
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        if settings.adult == "off" or settings.flagged == "refuse" or not invocation.channel.is_age_restricted:
            raise RequestRefused(
                f"A safety tolerance above {USUAL_TOLERANCE} is for age-restricted channels of workspaces with adult "
                f"pictures. Ask for {USUAL_TOLERANCE} at most here."
            )
