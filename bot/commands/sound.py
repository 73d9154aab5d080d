"""/transcribe, /speak and /music: words of a recording, a voice for words, and music from words."""

from bot.core.backend import InputValue
from bot.core.errors import BadOption
from bot.core.file_types import RECORDINGS
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.limits import MAX_PROMPT_CHARACTERS, MAX_SPEECH_CHARACTERS, MAX_SPEECH_PARTS
from bot.core.models import Model, Task
from bot.dispatch.declaration import Command, Services, command, models_for, option, values_for
from bot.dispatch.prompt_lists import split_sentences
from bot.jobs.batches import BatchRequest


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
