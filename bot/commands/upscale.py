"""/upscale: enlarges a picture."""

from bot.core.backend import InputFile
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.json import JSON
from bot.core.models import Task
from bot.dispatch.declaration import Command, Services, command, models_for, option


@command("upscale", task=Task.UPSCALE, contexts={"picture": "Upscale"})
class Upscale(Command):
    """Make a picture larger."""

    image: Attachment | Link = option("Which picture?")
    scale: float = option("How many times larger each way?", default=2.0, minimum=1, maximum=10)
    face_enhance: bool = option("Mend faces?", default=False)
    model: str = option("Which model should do it?", default="", autocomplete=models_for(Task.UPSCALE))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        user = invocation.user
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        model = services.catalogue.choose(
            Task.UPSCALE, self.model, preferred_key=settings.get_default_model(Task.UPSCALE)
        )
        options: dict[str, JSON | InputFile] = {
            "image": await services.media.load_input(self.image, model.inputs.get("image")),
            "scale": self.scale,
            "face_enhance": self.face_enhance or None,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})
