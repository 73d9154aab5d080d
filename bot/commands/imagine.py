"""/imagine: draws pictures from words."""

from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.dispatch.declaration import Command, Services, command, models_for, option

ASPECTS = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "4:5", "5:4", "21:9", "9:21")


@command("imagine", task=Task.IMAGINE, contexts={"picture": "Remix"})
class Imagine(Command):
    """Draw pictures from words."""

    prompt: str = option("What should the picture show?", max_length=1500, words=True)
    model: str = option("Which model should draw it?", default="", autocomplete=models_for(Task.IMAGINE))
    aspect: str | None = option("Which shape?", default=None, choices=ASPECTS)
    count: int = option("How many pictures?", default=1, minimum=1, maximum=4)
    seed: int | None = option("Which seed? The same seed draws the same again.", default=None, minimum=0)
    negative: str | None = option("What should it not show?", default=None, max_length=1500)
    steps: int | None = option("How many steps?", default=None, minimum=1, maximum=100)
    guidance: float | None = option("How closely should it follow the words?", default=None, minimum=0, maximum=50)
    format: str | None = option("Which file format?", default=None, choices=("png", "webp", "jpg"))
    image: Attachment | Link | None = option("A picture to start from?", default=None)
    strength: float | None = option("How far may it go from that picture?", default=None, minimum=0, maximum=1)

    async def answer(self, invocation: Invocation, services: Services) -> None:
        user = invocation.user
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        model = services.catalogue.choose(
            Task.IMAGINE,
            self.model,
            required_option="image" if self.image else "",
            preferred_key=settings.get_default_model(Task.IMAGINE),
        )
        image = await services.media.load_input(self.image, model.inputs.get("image")) if self.image else None
        options = {
            "prompt": self.prompt,
            "aspect": self.aspect,
            # A model without a count draws a single picture: leave 1 out, and let the model's rules refuse more.
            "count": self.count if self.count > 1 or "count" in model.inputs else None,
            "seed": self.seed,
            "negative": self.negative,
            "steps": self.steps,
            "guidance": self.guidance,
            "format": self.format,
            "image": image,
            "strength": self.strength,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})
