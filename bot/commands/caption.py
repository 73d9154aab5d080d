"""/caption: describes a picture, answers a question about a picture, or reads the text in a picture."""

from bot.core.backend import InputValue
from bot.core.errors import BadOption
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.dispatch.declaration import Command, MenuEntry, Services, command, models_for, option

READ_TEXT = MenuEntry("picture", "Read text", "Write down the text in a picture.", {"read_text": True})


@command("caption", task=Task.CAPTION, contexts={"picture": "Caption"}, menu_entries=(READ_TEXT,))
class CaptionPicture(Command):
    """Say what a picture shows, answer a question about it, or read the text in it."""

    image: Attachment | Link = option("Which picture?")
    question: str | None = option("What do you want to know about it?", default=None, max_length=500, words=True)
    read_text: bool = option("Write down the text in it instead?", default=False)
    model: str = option("Which model should look?", default="", autocomplete=models_for(Task.CAPTION))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        if self.read_text and self.question:
            raise BadOption("Ask a question, or have the text read: not both at once.", option="read_text")
        model = await services.choose_model(
            invocation.user, Task.CAPTION, self.model, required_option="read_text" if self.read_text else ""
        )
        options: dict[str, InputValue] = {
            "image": await services.media.load_input(self.image, model.inputs.get("image")),
            "question": self.question,
            "read_text": self.read_text or None,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})
