"""Pictures: asked for, watched, and gone on with; every button, for whom it works and for whom not."""

import io
from typing import Any

import pytest
from PIL import Image

from tests.emulators.discord import message_payloads
from tests.emulators.discord.messages import DiscordMessageState
from tests.fakes.backend import make_png
from tests.platforms.discord.town import Town, is_done


async def draw_fox(town: Town, **options: object) -> DiscordMessageState:
    """A finished picture of a fox, asked for by Ana in #general."""
    asked = await town.ana.use_command("imagine", {"prompt": "a fox in the snow", **options})
    return await (await asked.wait_for_message()).wait_until(is_done)


async def test_a_picture_comes_with_alt_text_facts_and_next_steps(town: Town) -> None:
    message = await draw_fox(town)

    assert message.is_v2
    assert [picture.alt_text for picture in message.pictures] == ["a fox in the snow (drawn by FLUX schnell)"]
    assert message.pictures[0].data == town.backend.script.picture
    assert "FLUX schnell · seed " in message.text
    assert [label.partition(" ·")[0] for label in message.button_labels] == [
        *("Again", "Vary", "Upscale", "Caption", "Edit prompt", "Delete", "Report")
    ]


async def test_four_pictures_have_four_of_each_step(town: Town) -> None:
    message = await draw_fox(town, count=4)

    assert [picture.filename for picture in message.pictures] == [f"a-fox-in-the-snow-{n}.png" for n in (1, 2, 3, 4)]
    assert [label for label in message.button_labels if label.startswith("Upscale")] == [
        f"Upscale {n}" for n in (1, 2, 3, 4)
    ]


async def test_each_step_starts_from_the_right_picture(town: Town) -> None:
    message = await draw_fox(town, count=2)

    upscaled = await (await (await town.ana.press(message, "Upscale 2")).wait_for_message()).wait_until(is_done)
    again = await (await (await town.ana.press(message, "Again")).wait_for_message()).wait_until(is_done)

    assert len({message.id, upscaled.id, again.id}) == 3
    assert [run.model.task for run in town.backend.runs.values()] == ["imagine", "upscale", "imagine"]


async def test_one_picture_can_be_varied_and_described(town: Town) -> None:
    message = await draw_fox(town)
    vary = next(label for label in message.button_labels if label.startswith("Vary"))

    varied = await (await (await town.ben.press(message, vary)).wait_for_message()).wait_until(is_done)
    told = await (await (await town.ben.press(message, "Caption")).wait_for_message()).wait_until(is_done)

    assert "credits" in vary
    assert varied.pictures
    assert told.content.startswith("A short answer.")


async def test_the_prompt_is_edited_in_a_form_that_is_filled_in(town: Town) -> None:
    message = await draw_fox(town)

    opened = await town.ana.press(message, "Edit prompt")
    form = await opened.wait_for_modal()
    sent = await town.ana.submit(form, {"Prompt": "a fox in the rain"})
    second = await (await sent.wait_for_message()).wait_until(is_done)

    assert form.title == "Edit prompt"
    assert second.pictures[0].alt_text == "a fox in the rain (drawn by FLUX schnell)"
    assert town.backend.last_run.inputs["prompt"] == "a fox in the rain"


async def test_a_refused_form_gives_back_what_was_typed(town: Town) -> None:
    message = await draw_fox(town)
    await town.add_word("wolf")

    form = await (await town.ana.press(message, "Edit prompt")).wait_for_modal()
    sent = await town.ana.submit(form, {"Prompt": "a wolf in the rain"})
    told = await sent.wait_for_private_message()

    assert "not wanted here" in told.text
    assert "a wolf in the rain" in told.text
    assert len(town.backend.runs) == 1


async def test_only_the_asker_and_moderators_delete(town: Town) -> None:
    message = await draw_fox(town)

    refused = await (await town.ben.press(message, "Delete")).wait_for_private_message()
    await (await town.ana.press(message, "Delete")).wait_for_acknowledgement()
    await town.wait_until(lambda: message.is_deleted and not town.kept_files())

    assert refused.text == "Only the person who asked, or a moderator, can delete this."


async def test_a_report_reaches_the_owner_who_takes_it_down(town: Town) -> None:
    message = await draw_fox(town)
    owner = town.owner_in_the_guild()

    told = await (await town.ben.press(message, "Report")).wait_for_private_message()
    notice = await town.wait_until(lambda: owner.direct_channel.messages and owner.direct_channel.last_message)
    await town.owner.press(notice, "Take down")
    await town.wait_until(lambda: message.is_deleted and not town.kept_files())

    assert told.text == "Thank you. The moderators have been told."
    assert "Ben reported what /imagine made for Ana" in notice.text


async def test_a_job_is_shown_again_with_living_buttons_to_members_of_its_channel(town: Town) -> None:
    message = await draw_fox(town)
    job = await town.get_job_id(message)

    shown = await (await town.ben.use_command("show", {"job": job})).wait_for_private_message()
    again = await (await (await town.ben.press(shown, "Again")).wait_for_message()).wait_until(is_done)

    assert shown.pictures[0].data == message.pictures[0].data
    assert again.is_ephemeral


async def test_a_picture_too_large_for_the_server_is_made_smaller_and_says_so(town: Town) -> None:
    noise = Image.effect_noise((1300, 1100), 90).convert("RGB")
    file = io.BytesIO()
    noise.save(file, "PNG")
    town.backend.will(picture=file.getvalue())
    town.guild.upload_limit = 1_100_000

    message = await draw_fox(town)

    assert len(file.getvalue()) > town.guild.upload_limit
    assert len(message.pictures[0].data) <= town.guild.upload_limit
    assert "The picture was made smaller, to fit what can be uploaded here" in message.text
    town.expect_violation("413", "40005")


async def test_a_picture_that_was_attached_is_worked_on(town: Town) -> None:
    asked = await town.ana.use_command("upscale", {"image": make_png(64, 48)})
    message = await (await asked.wait_for_message()).wait_until(is_done)

    assert message.pictures


async def test_what_is_no_picture_is_refused_privately_and_costs_nothing(town: Town) -> None:
    asked = await town.ana.use_command("upscale", {"image": b"not a picture at all"})
    told = await asked.wait_for_private_message()

    assert "not a picture I can read" in told.text
    assert town.general.messages == []
    assert town.backend.runs == {}


async def test_anyones_picture_is_described_upscaled_and_remixed_from_its_menu(town: Town) -> None:
    from tests.emulators.discord.posting import DiscordFileUpload

    posted = await town.ben.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png(40, 30))])

    told = await (await (await town.ana.use_message_command("Caption", posted)).wait_for_message()).wait_until(is_done)
    larger = await (await (await town.ana.use_message_command("Upscale", posted)).wait_for_message()).wait_until(
        is_done
    )
    form = await (await town.ana.use_message_command("Remix", posted)).wait_for_modal()
    sent = await town.ana.submit(form, {"Prompt": "the same hill in spring", "Strength": "0.4"})
    remixed = await (await sent.wait_for_message()).wait_until(is_done)

    assert told.content.startswith("A short answer.")
    assert larger.pictures
    assert "the same hill in spring" in str(remixed.pictures[0].alt_text)
    assert "image" in town.backend.last_run.inputs
    assert 0.4 in town.backend.last_run.inputs.values()


async def test_our_own_picture_has_the_same_menu(town: Town) -> None:
    message = await draw_fox(town)

    told = await (await (await town.ben.use_message_command("Caption", message)).wait_for_message()).wait_until(is_done)

    assert told.content.startswith("A short answer.")


async def test_a_message_without_a_picture_has_none_to_work_on(town: Town) -> None:
    posted = await town.ben.say("only words", town.general)

    told = await (await town.ana.use_message_command("Caption", posted)).wait_for_private_message()

    assert told.text == "There is no picture in that message."


async def test_a_question_about_our_own_picture_brings_it_along(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    message = await draw_fox(town)
    tells = message_payloads.message_json

    def told(message: DiscordMessageState, *given: object, **traits: object) -> dict[str, Any]:
        payload = tells(message, *given, **traits)  # type: ignore[arg-type] # handed on as given
        return payload | ({"attachments": []} if message.is_v2 else {})

    monkeypatch.setattr(message_payloads, "message_json", told)
    await town.ana.say(f"{town.emulator.bot.mention} caption", reply_to=message)
    answer = await town.wait_until(lambda: town.general.messages[2:] and town.general.last_message)
    await answer.wait_until(is_done)

    assert answer.content.startswith("A short answer.")
    assert "image" in town.backend.last_run.inputs


async def test_who_asked_and_what_stands_above_the_picture_and_calls_nobody(town: Town) -> None:
    words = f"a fox\nfor {town.ben.user.mention} [here](https://evil.example) {'x' * 400}"

    message = await draw_fox(town, prompt=words)

    first = message.text.splitlines()[0]
    assert first.startswith(f"-# Ana: /imagine a fox for {town.ben.user.mention} [here] (https://evil.example)")
    assert first.endswith("…")
    assert len(first) == 303
    assert message.notified_users == []
