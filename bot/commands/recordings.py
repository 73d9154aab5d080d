"""/video, /transcribe, /speak and /music: commands that make or read videos and sounds."""

from bot.core.backend import InputFile, InputValue, list_input_files
from bot.core.errors import BadOption
from bot.core.file_types import RECORDINGS, MediaKind
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.limits import MAX_PROMPT_CHARACTERS, MAX_SPEECH_CHARACTERS, MAX_SPEECH_PARTS
from bot.core.models import ASPECTS, Model, Task
from bot.dispatch.declaration import Command, Services, command, models_for, option, values_for
from bot.dispatch.parsing import split_sentences
from bot.jobs.batches import BatchRequest

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
        files = await _load_frames(services, model, sources)
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


async def _load_frames(services: Services, model: Model, sources: dict[str, Attachment | Link]) -> dict[str, InputFile]:
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


@command("transcribe", task=Task.TRANSCRIBE, contexts={"recording": "Transcribe"})
class Transcribe(Command):
    """Write down the words of a voice message, a sound or a video."""

    audio: Attachment | Link = option("Which recording?", media=RECORDINGS)
    language: str | None = option("Which language is spoken?", default=None, max_length=40)
    model: str = option("Which model should listen?", default="", autocomplete=models_for(Task.TRANSCRIBE))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        model = await services.choose_model(
            invocation.user, Task.TRANSCRIBE, self.model, required_option="language" if self.language else "audio"
        )
        options: dict[str, InputValue] = {
            "audio": await services.media.load_input(self.audio, model.inputs.get("audio")),
            "language": self.language,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})


@command("speak", task=Task.SPEAK)
class Speak(Command):
    """Speak words with a voice."""

    text: str = option("What should be said?", max_length=MAX_SPEECH_CHARACTERS, words=True, quotes=True)
    voice: str | None = option("Which voice? The models' pages list them.", default=None, max_length=80)
    speed: float | None = option("How fast? 1 is the usual speed.", default=None, minimum=0.5, maximum=2)
    language: str | None = option("Which language?", default=None, max_length=40)
    model: str = option("Which model should speak?", default="", autocomplete=models_for(Task.SPEAK))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        given = {"language": self.language, "speed": self.speed, "voice": self.voice}
        wanted = next((name for name, value in given.items() if value is not None), "")
        model = await services.choose_model(invocation.user, Task.SPEAK, self.model, required_option=wanted)
        whole: dict[str, InputValue] = {"text": self.text, **given}
        stored: dict[str, InputValue] = {**whole, "model": model.key}
        parts = _split(self.text, model)
        if len(parts) == 1:
            await services.jobs.start(invocation, model, whole, stored_options=stored)
            return
        requests = [BatchRequest({**whole, "text": part}, {**stored, "text": part}) for part in parts]
        await services.jobs.start_batch(invocation, model, requests, stored_options=stored)


def _split(text: str, model: Model) -> list[str]:
    """Return the parts of a text that a model speaks one by one. Raise `BadOption` for more than a batch may have."""
    limit = model.inputs["text"].max_length if "text" in model.inputs else None
    parts = [text] if limit is None else split_sentences(text, limit)
    if len(parts) > MAX_SPEECH_PARTS:
        raise BadOption(
            f"{model.title} speaks {limit:,} characters at once, so this text takes {len(parts)} parts, and "
            f"{MAX_SPEECH_PARTS} are the most: give a shorter text, or choose another model.",
            option="text",
        )
    return parts


@command("music", task=Task.MUSIC)
class Music(Command):
    """Make music from words."""

    prompt: str = option("What should it sound like?", max_length=MAX_PROMPT_CHARACTERS, words=True)
    lyrics: str | None = option("Which words should be sung?", default=None, max_length=3000)
    duration: int | None = option(
        "How many seconds?", default=None, minimum=1, maximum=600, autocomplete=values_for(Task.MUSIC, "duration")
    )
    seed: int | None = option("Which seed? The same seed gives the same again.", default=None, minimum=0)
    model: str = option("Which model should play?", default="", autocomplete=models_for(Task.MUSIC))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        given = {"lyrics": self.lyrics, "duration": self.duration, "seed": self.seed}
        wanted = next((name for name, value in given.items() if value is not None), "")
        model = await services.choose_model(invocation.user, Task.MUSIC, self.model, required_option=wanted)
        options: dict[str, InputValue] = {"prompt": self.prompt, **given}
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})
