"""/caption: describes a picture, or answers a question about a picture."""

from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.dispatch.declaration import Command, Services, command, models_for, option


@command("caption", task=Task.CAPTION, contexts={"picture": "Caption"})
class CaptionPicture(Command):
    """Say what a picture shows, or answer a question about it."""

    image: Attachment | Link = option("Which picture?")
    question: str | None = option("What do you want to know about it?", default=None, max_length=500, words=True)
    model: str = option("Which model should look?", default="", autocomplete=models_for(Task.CAPTION))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        model = await services.choose_model(invocation.user, Task.CAPTION, self.model)
        options = {
            "image": await services.media.load_input(self.image, model.inputs.get("image")),
            "question": self.question,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})
