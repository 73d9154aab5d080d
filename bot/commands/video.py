"""/video: a short video from words, from a picture, or from one picture to another."""

from bot.core.backend import InputFile, InputValue, list_input_files
from bot.core.errors import BadOption
from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.limits import MAX_PROMPT_CHARACTERS
from bot.core.models import ASPECTS, Model, Task
from bot.dispatch.declaration import Command, Services, command, models_for, option, values_for

STILL_PROMPT = "natural movement, the camera comes slowly nearer"
"""The words for a picture given without words: the models require some."""


@command("video", task=Task.VIDEO, contexts={"picture": "Animate"})
class Video(Command):
    """Make a short video from words, a picture, or both."""

    prompt: str = option("What should happen?", default="", max_length=MAX_PROMPT_CHARACTERS, words=True)
    image: Attachment | Link | None = option("Which picture should it begin with?", default=None)
    last: Attachment | Link | None = option("Which picture should it end with?", default=None)
    duration: int | None = option(
        "How many seconds? Longer costs more.",
        default=None,
        minimum=1,
        maximum=60,
        autocomplete=values_for(Task.VIDEO, "duration"),
    )
    resolution: str | None = option(
        "How large? Larger costs more.", default=None, max_length=30, autocomplete=values_for(Task.VIDEO, "resolution")
    )
    quality: str | None = option(
        "How good? Better costs more.", default=None, max_length=30, autocomplete=values_for(Task.VIDEO, "quality")
    )
    aspect: str | None = option("Which shape?", default=None, choices=ASPECTS)
    sound: bool | None = option("With sound? It may cost more.", default=None)
    audio: Attachment | Link | None = option("Which sound should it follow?", default=None, media=(MediaKind.AUDIO,))
    video: Attachment | Link | None = option("Which video should change?", default=None, media=(MediaKind.VIDEO,))
    negative: str | None = option("What should it not show?", default=None, max_length=MAX_PROMPT_CHARACTERS)
    seed: int | None = option("Which seed? The same seed gives the same again.", default=None, minimum=0)
    model: str = option("Which model should make it?", default="", autocomplete=models_for(Task.VIDEO))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        given = {"video": self.video, "image": self.image, "last": self.last, "audio": self.audio}
        sources = {name: source for name, source in given.items() if source is not None}
        if not self.prompt and not sources:
            raise BadOption("Say what should happen, or give a picture to begin with.", option="prompt")
        model = await services.choose_model(
            invocation.user, Task.VIDEO, self.model, required_option=next(iter(sources), "")
        )
        files = await _load_files(services, model, sources)
        options: dict[str, InputValue] = {
            "prompt": self.prompt or STILL_PROMPT,
            "duration": self.duration,
            "resolution": self.resolution,
            "quality": self.quality,
            "aspect": self.aspect,
            "sound": self.sound,
            "negative": self.negative,
            "seed": self.seed,
            **files,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})


async def _load_files(services: Services, model: Model, sources: dict[str, Attachment | Link]) -> dict[str, InputFile]:
    """Store the given files. Raise for the first file that cannot be used: then no file is kept."""
    files: dict[str, InputFile] = {}
    try:
        for name, source in sources.items():
            if name not in model.inputs:
                raise BadOption(f"{model.title} does not take {name}.", option=name)
            files[name] = await services.media.load_input(source, model.inputs[name])
    except BaseException:
        services.media.release(list_input_files(files))
        raise
    return files
