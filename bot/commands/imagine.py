"""/imagine: draws pictures from words."""

from bot.core.errors import RequestRefused
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.core.replies import Reply
from bot.dispatch.declaration import MAX_PICTURES, Services, command, option
from bot.dispatch.forms import fill_form
from bot.dispatch.presets import PictureOptions, Presets, apply_preset

USUAL_TOLERANCE = 2
"""The safety tolerance of the models with such a field when none is given (flux-1.1-pro, FLUX.2: 1 to 5 or 6)."""


@command("imagine", task=Task.IMAGINE, contexts={"picture": "Remix"})
class Imagine(PictureOptions):
    """Draw pictures from words."""

    prompt: str = option("What should the picture show?", max_length=1500, words=True)
    images: tuple[Attachment | Link, ...] = option(
        "A picture to start from, or references?", default=(), name="image", max_files=MAX_PICTURES
    )
    preset: str = option("Which preset? The other options win over its own.", default="", max_length=32)

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
        images = await services.media.load_inputs(self.images, model.inputs.get("image"))
        options = {
            "prompt": self.prompt,
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
            "image": images or None,
            "strength": self.strength,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})
        return None

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
