"""/train: makes a model of this workspace from pictures; `dispatch.trained_models` offers the model at the end."""

import re

from bot.core.backend import InputValue
from bot.core.errors import BadOption, ConfirmationRequired
from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Services, command, models_for, option
from bot.dispatch.thread_pictures import ThreadPictures, TrainingConsents

MAX_TRAINING_FILES = 10
"""Files of one command: Slack's field takes ten, and a zip holds more pictures."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,29}")
_TRIGGER = re.compile(r"\w{2,30}")


@command("train", rank=Rank.MODERATOR)
class Train(Command):
    """Make a model of this workspace from pictures. I say the price first."""

    name: str = option("What should the model be called?", max_length=30)
    files: tuple[Attachment | Link, ...] = option(
        "Pictures, or a zip of pictures? Those made here, if you give none.",
        default=(),
        name="file",
        max_files=MAX_TRAINING_FILES,
        media=(MediaKind.PICTURE, MediaKind.FILE),
    )
    trigger: str = option("Which word stands for it in prompts?", default="TOK", max_length=30)
    steps: int | None = option("How many steps? More take longer.", default=None, minimum=1, maximum=10_000)
    model: str = option("Which training?", default="", autocomplete=models_for(Task.TRAIN))

    async def answer(self, invocation: Invocation, services: Services) -> Reply | None:
        name = self._check_words(services)
        model = await services.choose_model(invocation.user, Task.TRAIN, self.model)
        gathered = ThreadPictures(()) if self.files else await TrainingConsents(services).gather(invocation, name)
        if isinstance(gathered, Reply):
            return gathered
        pictures = await services.media.load_training_set(self.files or gathered.files)
        words = {"name": name, "trigger": self.trigger, "steps": self.steps}
        stored: dict[str, InputValue] = {
            **words,
            "model": model.key,
            "file": pictures.file,
        }
        left_out = f" Left out are those of {' and '.join(gathered.missing)}." if gathered.missing else ""
        try:
            await services.jobs.start(invocation, model, {**words, "images": pictures.file}, stored_options=stored)
        except ConfirmationRequired as question:
            raise ConfirmationRequired(
                f"Train `{name}` on {pictures.picture_count} pictures, with the word {self.trigger}?{left_out} A test "
                f"picture follows, at its own price. {question}",
                button_label="Train",
                price_micros=question.price_micros,
                files=question.files,
                # The zip replaces the given files: the price is for these very pictures.
                options={key: value for key, value in invocation.options.items() if not key.startswith("file")},
            ) from question
        return None

    def _check_words(self, services: Services) -> str:
        """Return the model's name in lower case. Raise `BadOption` for a name that is taken or no name."""
        name = self.name.strip().lower()
        if not _NAME.fullmatch(name):
            raise BadOption("A model's name has 2 to 30 letters, digits and dashes, such as our-style.", option="name")
        # Also the name of a withdrawn model stays taken: jobs name their model by it.
        if name in services.catalogue or services.catalogue.find(name) is not None:
            raise BadOption(f"There is a model called {name} already. Give another name.", option="name")
        if not _TRIGGER.fullmatch(self.trigger):
            raise BadOption(
                "The word for prompts is one word of 2 to 30 letters and digits, such as TOK.", option="trigger"
            )
        return name
