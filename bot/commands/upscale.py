"""/upscale: enlarges a picture."""

from bot.core.backend import InputValue
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.dispatch.declaration import Command, Services, command, models_for, option

USUAL_SCALE = 2.0


@command("upscale", task=Task.UPSCALE, contexts={"picture": "Upscale"})
class Upscale(Command):
    """Make a picture larger."""

    image: Attachment | Link = option("Which picture?")
    scale: float = option("How many times larger each way?", default=USUAL_SCALE, minimum=1, maximum=10)
    face_enhance: bool = option("Mend faces?", default=False)
    model: str = option("Which model should do it?", default="", autocomplete=models_for(Task.UPSCALE))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        model = await services.choose_model(invocation.user, Task.UPSCALE, self.model)
        options: dict[str, InputValue] = {
            "image": await services.media.load_input(self.image, model.inputs.get("image")),
            # A model without a scale chooses the scale itself: leave the usual scale out, and name any other.
            "scale": self.scale if self.scale != USUAL_SCALE or "scale" in model.inputs else None,
            "face_enhance": self.face_enhance or None,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})
