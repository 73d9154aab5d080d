"""Safety: adult models, flagged pictures, masked links."""

import io
import sys
from dataclasses import replace

import pytest
from PIL import Image

from bot.core.jobs import Output
from bot.platforms.discord.messages import unmask_links
from tests.platforms.discord.dialogue import draw_picture
from tests.platforms.discord.town import Town, finish


def mark_as_adult(town: Town) -> None:
    """Mark the default model as an adult model."""
    catalogue = town.app.dispatcher.services.catalogue
    models = catalogue._models
    models["flux-schnell"] = replace(models["flux-schnell"], is_adult=True)


async def test_adult_models_run_in_age_restricted_channels_and_their_threads_alone(town: Town) -> None:
    mark_as_adult(town)
    night = town.guild.add_channel("night", age_restricted=True)
    thread = await town.ana.open_thread("later", on=await town.ana.say("hello", night))

    refusal = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_private_message()
    message = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}, channel=night))
    second = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}, channel=thread))

    assert "age-restricted" in refusal.text
    assert message.pictures
    assert second.pictures


async def flag_outputs(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model flag its pictures from now on."""
    build_outputs = sys.modules["bot.jobs.completion"]._build_file_outputs

    def build_flagged_outputs(*given: object) -> list[Output]:
        return [replace(output, is_flagged=True) for output in build_outputs(*given)]

    monkeypatch.setattr("bot.jobs.completion._build_file_outputs", build_flagged_outputs)


async def test_flagged_pictures_are_spoilers(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    await flag_outputs(town, monkeypatch)

    message = await draw_picture(town.ana)

    assert [picture.is_spoiler for picture in message.pictures] == [True]


async def test_flagged_pictures_are_withheld_if_a_server_refuses_them(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await flag_outputs(town, monkeypatch)
    await town.set("flagged", "refuse")

    message = await draw_picture(town.ana)

    assert message.pictures == []
    assert "⚠ What the model flagged is not shown here." in message.text


async def test_withheld_pictures_stay_withheld_after_shrinking(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    build_outputs = sys.modules["bot.jobs.completion"]._build_file_outputs

    def flagged(*given: object) -> list[Output]:
        return [replace(output, is_flagged=output.n == 1) for output in build_outputs(*given)]

    monkeypatch.setattr("bot.jobs.completion._build_file_outputs", flagged)
    await town.set("flagged", "refuse")
    noise = io.BytesIO()
    Image.effect_noise((1300, 1100), 90).convert("RGB").save(noise, "PNG")
    town.backend.will(picture=noise.getvalue())
    town.guild.upload_limit_bytes = 1_100_000

    message = await draw_picture(town.ana, prompt="a fox in the snow", count=2)

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
def test_masked_links_show_their_address(text: str, seen: str) -> None:
    assert unmask_links(text) == seen
