"""/imagine: draws pictures from words."""

from bot.core.errors import RequestRefused
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import ASPECTS, Task
from bot.dispatch.declaration import MAX_PICTURES, Command, Services, command, models_for, option, values_for

USUAL_TOLERANCE = 2
"""The safety tolerance of the models with such a field when none is given (flux-1.1-pro, FLUX.2: 1 to 5 or 6)."""


@command("imagine", task=Task.IMAGINE, contexts={"picture": "Remix"})
class Imagine(Command):
    """Draw pictures from words."""

    prompt: str = option("What should the picture show?", max_length=1500, words=True)
    model: str = option("Which model should draw it?", default="", autocomplete=models_for(Task.IMAGINE))
    aspect: str | None = option("Which shape?", default=None, choices=ASPECTS)
    count: int = option(
        "How many pictures?", default=1, minimum=1, maximum=4, autocomplete=values_for(Task.IMAGINE, "count")
    )
    quality: str | None = option(
        "How good? Better costs more.", default=None, max_length=30, autocomplete=values_for(Task.IMAGINE, "quality")
    )
    resolution: str | None = option(
        "How large? Larger may cost more.",
        default=None,
        max_length=30,
        autocomplete=values_for(Task.IMAGINE, "resolution"),
    )
    seed: int | None = option("Which seed? The same seed draws the same again.", default=None, minimum=0)
    negative: str | None = option("What should it not show?", default=None, max_length=1500)
    steps: int | None = option("How many steps?", default=None, minimum=1, maximum=100)
    guidance: float | None = option("How closely should it follow the words?", default=None, minimum=0, maximum=50)
    scheduler: str | None = option(
        "Which scheduler?", default=None, max_length=40, autocomplete=values_for(Task.IMAGINE, "scheduler")
    )
    prompt_upsampling: bool = option("Should the model write out the prompt?", default=False)
    safety_tolerance: int | None = option(
        "How much may the model's filter let through? 1 is strictest.", default=None, minimum=1, maximum=6
    )
    format: str | None = option("Which file format?", default=None, choices=("png", "webp", "jpg"))
    images: tuple[Attachment | Link, ...] = option(
        "A picture to start from, or references?", default=(), name="image", max_files=MAX_PICTURES
    )
    strength: float | None = option("How far may it go from that picture?", default=None, minimum=0, maximum=1)

    async def answer(self, invocation: Invocation, services: Services) -> None:
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
