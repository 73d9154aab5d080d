"""Suggestions for an option during typing, and files for the options that take their kinds."""

from pathlib import Path

import pytest

from bot.catalogue.loading import BUILT_IN_PATH
from bot.commands.imagine import Imagine
from bot.core.errors import BadOption
from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment, Link
from bot.core.models import Task
from bot.dispatch.declaration import Command, OptionValue, command, models_for, option, values_for
from tests.bench import Bench, make_attachment
from tests.fakes.samples import MODERATOR


async def test_models_with_the_typed_beginning_come_first_each_with_a_price(bench: Bench) -> None:
    option = Imagine.declaration.option("model")
    assert option is not None
    assert option.autocomplete is not None
    services = bench.app.dispatcher.services

    all_choices = option.autocomplete(services, "", {})
    matching_choices = option.autocomplete(services, "DE", {})

    assert [choice.label for choice in all_choices][:4] == [
        "FLUX schnell · 3 credits",
        "FLUX dev · 25 credits",
        "FLUX 1.1 pro · 40 credits",
        "SDXL · about 5.8, at most 58.5 credits",
    ]
    assert len(all_choices) == 25
    assert [choice.value for choice in matching_choices][:2] == ["flux-dev", "flux-2-dev"]


TIERED = """
[fox]
title = "Fox"
task = "imagine"
ref = "ana/fox"
output = "pictures"
usual_seconds = 1
max_seconds = 10
price.tiers = [
    { when = { quality = "low" }, per = "image_output_count", usd = "0.01" },
    { when = { quality = "high" }, per = "image_output_count", usd = "0.05" },
]
price.source = "a page"
price.read_on = 2026-11-01
[fox.inputs]
prompt = "prompt"
count = { to = "num_outputs", minimum = 1, maximum = 2 }
quality = { to = "quality", choices = ["low", "high", "auto"], default = "low" }
format = { to = "output_format", choices = ["png"] }
"""


async def test_each_choice_has_the_price_that_it_leads_to(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(f"{BUILT_IN_PATH.read_text()}\n{TIERED}")
    bench = await Bench.open(tmp_path, catalogue_path=path)

    def suggest(option: str, typed: str = "", **given: OptionValue) -> list[tuple[str, str]]:
        suggestions = values_for(Task.IMAGINE, option)(bench.app.dispatcher.services, typed, given)
        return [(choice.label, choice.value) for choice in suggestions]

    assert suggest("quality", model="fox") == [
        ("low · 10 credits", "low"),
        ("high · 50 credits", "high"),
        ("auto · 50 credits", "auto"),
    ]
    assert suggest("quality", "au", model="Fox", count="2") == [("auto · 100 credits", "auto")]
    assert suggest("count", model="fox", quality="high") == [("1 · 50 credits", "1"), ("2 · 100 credits", "2")]
    assert suggest("count", model="fo")[1:3] == [
        ("2 · 6 credits with FLUX schnell", "2"),
        ("3 · 9 credits with FLUX schnell", "3"),
    ]
    assert suggest("format", model="fox") == [("png", "png")]
    assert suggest("quality", model="flux-schnell") == []
    models = models_for(Task.IMAGINE)(bench.app.dispatcher.services, "fox", {"quality": "high", "count": 2})
    assert [choice.label for choice in models] == ["Fox · 100 credits"]
    await bench.close()


async def test_the_price_of_the_choice_is_held(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(TIERED)
    bench = await Bench.open(tmp_path, catalogue_path=path)

    await bench.say("/imagine a fox --quality high")
    assert bench.last_message.reply.note.endswith("50 credits")
    await bench.say("/imagine a fox --count 2")

    assert bench.last_message.reply.note.endswith("20 credits")
    assert [run.inputs["quality"] for run in bench.backend.runs.values()] == ["high", "low"]
    await bench.close()


async def test_a_costly_choice_asks_first(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(TIERED)
    bench = await Bench.open(tmp_path, catalogue_path=path)
    await bench.say("/settings general --confirm_above 30", by=MODERATOR)

    cheap = await bench.say("/imagine a fox --quality low")
    dear = await bench.say("/imagine a fox --quality high")

    assert cheap is None
    assert dear is not None
    assert dear.text == "This costs 50 credits with Fox. Go ahead?"
    assert len(bench.backend.runs) == 1
    await bench.close()


@command("film", contexts={"picture": "Film", "recording": "Follow"})
class Film(Command):
    """Make a film."""

    images: tuple[Attachment | Link, ...] = option("Which pictures?", default=(), name="image", max_files=2)
    last: Attachment | Link | None = option("Which picture ends it?", default=None)
    sound: Attachment | Link | None = option("Which sound?", default=None, media=(MediaKind.AUDIO,))


def give(mime: str) -> Attachment:
    return make_attachment(b"", f"a.{mime.partition('/')[2]}", mime)


def test_each_file_goes_to_the_first_option_that_takes_its_kind() -> None:
    picture, other, sound, link = (
        give("image/png"),
        give("image/webp"),
        give("audio/ogg"),
        Link("https://a.example/b.png"),
    )

    files: list[Attachment | Link] = [picture, link, sound]

    assert Film.declaration.assign_files([sound, picture]) == {"image": picture, "sound": sound}
    assert Film.declaration.assign_files(files) == {"image": picture, "image2": link, "sound": sound}
    assert Film.declaration.assign_files([sound, give("audio/wav")]) == {"sound": sound}
    # The first option says what a file is that no option takes.
    assert Film.declaration.assign_files([give("application/pdf")]).keys() == {"image"}
    with pytest.raises(BadOption, match="/film takes at most 2 pictures, and that message has 3."):
        Film.declaration.assign_files([*files, other])


def test_the_menu_of_a_message_takes_the_kinds_of_its_contexts() -> None:
    assert Film.declaration.message_media == (MediaKind.PICTURE, MediaKind.AUDIO, MediaKind.VIDEO)
    assert Imagine.declaration.message_media == (MediaKind.PICTURE,)
    assert Imagine.declaration.explain_no_file() == "There is no picture in that message."
