"""What must not be seen by everybody: adult models, flagged pictures, hidden links, pings."""

import io
import sys
from dataclasses import replace

import pytest
from PIL import Image

from bot.core.jobs import Output
from bot.platforms.discord.messages import unmask_links
from tests.platforms.discord.test_pictures import draw_fox
from tests.platforms.discord.town import Town, is_done


def adult(town: Town) -> None:
    """Mark the default model as one for adults."""
    catalogue = town.app.dispatcher.services.catalogue
    models = catalogue._models
    models["flux-schnell"] = replace(models["flux-schnell"], is_adult=True)


async def test_models_for_adults_run_in_age_restricted_channels_and_their_threads_alone(town: Town) -> None:
    adult(town)
    night = town.guild.add_channel("night", age_restricted=True)
    thread = await town.ana.open_thread("later", on=await town.ana.say("hello", night))

    refused = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_private_message()
    message = await (
        await (await town.ana.use_command("imagine", {"prompt": "a fox"}, channel=night)).wait_for_message()
    ).wait_until(is_done)
    second = await (
        await (await town.ana.use_command("imagine", {"prompt": "a fox"}, channel=thread)).wait_for_message()
    ).wait_until(is_done)

    assert "age-restricted" in refused.text
    assert message.pictures
    assert second.pictures


async def flag_all(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the model flags what it makes."""
    made = sys.modules["bot.jobs.completion"]._build_picture_outputs

    def flagged(*given: object) -> list[Output]:
        return [replace(output, is_flagged=True) for output in made(*given)]

    monkeypatch.setattr("bot.jobs.completion._build_picture_outputs", flagged)


async def test_flagged_pictures_are_spoilers(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    await flag_all(town, monkeypatch)

    message = await draw_fox(town)

    assert [picture.is_spoiler for picture in message.pictures] == [True]


async def test_flagged_pictures_are_withheld_where_a_server_says_so(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await flag_all(town, monkeypatch)
    await town.set("flagged", "refuse")

    message = await draw_fox(town)

    assert message.pictures == []
    assert "⚠ What the model flagged is not shown here." in message.text


async def test_what_is_withheld_stays_so_when_the_rest_is_too_large(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sys.modules["bot.jobs.completion"]._build_picture_outputs

    def flagged(*given: object) -> list[Output]:
        return [replace(output, is_flagged=output.n == 1) for output in made(*given)]

    monkeypatch.setattr("bot.jobs.completion._build_picture_outputs", flagged)
    await town.set("flagged", "refuse")
    noise = io.BytesIO()
    Image.effect_noise((1300, 1100), 90).convert("RGB").save(noise, "PNG")
    town.backend.will(picture=noise.getvalue())
    town.guild.upload_limit = 1_100_000

    message = await draw_fox(town, count=2)

    assert [picture.filename for picture in message.pictures] == ["a-fox-in-the-snow-2.jpg"]
    town.expect_violation("413", "40005")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("[discord.com](https://evil.example)", "[discord.com] (https://evil.example)"),
        ("[a [b]](https://evil.example)", "[a [b]] (https://evil.example)"),
        ("[a]( <https://evil.example> 'x')", "[a] ( <https://evil.example> 'x')"),
        ("[a](discord://x)", "[a] (discord://x)"),
        ("f[0](x) is a call", "f[0](x) is a call"),
        ("`[a](https://b.c)`", "`[a](https://b.c)`"),
        ("```\n[a](https://b.c)\n```", "```\n[a](https://b.c)\n```"),
        ("```\n[a](https://b.c)", "```\n[a] (https://b.c)"),
        ("` [a](https://b.c)", "` [a] (https://b.c)"),
    ],
)
def test_no_words_hide_an_address(text: str, seen: str) -> None:
    assert unmask_links(text) == seen
