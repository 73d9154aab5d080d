"""/transcribe, /speak and /music: words of a recording, a voice for words, and music from words."""

from bot.core.backend import InputValue
from bot.core.file_types import RECORDINGS
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.limits import MAX_PROMPT_CHARACTERS
from bot.core.models import Model, Task
from bot.dispatch.declaration import Command, Services, command, models_for, option, values_for


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

    text: str = option("What should be said?", max_length=10_000, words=True, quotes=True)
    voice: str | None = option("Which voice? The models' pages list them.", default=None, max_length=80)
    speed: float | None = option("How fast? 1 is the usual speed.", default=None, minimum=0.5, maximum=2)
    language: str | None = option("Which language?", default=None, max_length=40)
    model: str = option("Which model should speak?", default="", autocomplete=models_for(Task.SPEAK))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        given = {"language": self.language, "speed": self.speed, "voice": self.voice}
        wanted = next((name for name, value in given.items() if value is not None), "")
        model = await services.choose_model(invocation.user, Task.SPEAK, self.model, required_option=wanted)
        if not self.model:
            model = _choose_for_length(services, model, len(self.text))
        options: dict[str, InputValue] = {"text": self.text, **given}
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})


def _choose_for_length(services: Services, preferred: Model, characters: int) -> Model:
    """Return the preferred model, or the first model on offer that speaks so many characters at once."""
    candidates = (preferred, *services.catalogue.list_for_task(Task.SPEAK))
    limits = ((model, model.inputs["text"].max_length) for model in candidates if "text" in model.inputs)
    return next((model for model, limit in limits if limit is None or characters <= limit), preferred)


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
