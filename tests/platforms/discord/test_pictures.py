"""Pictures: their messages and every button, for permitted and for other users."""

import io
from typing import Any

import pytest
from PIL import Image

from tests.emulators.discord import message_payloads
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.messages import DiscordMessageState
from tests.fakes.backend import make_png
from tests.media.pictures import make_recipe_picture, open_picture
from tests.media.test_heif import make_heic
from tests.platforms.discord.dialogue import draw_picture, read_answer, run_command
from tests.platforms.discord.town import Town, finish, is_done

NO_PICTURE = "That is a PDF, not a picture I can read: PNG, JPEG, WebP, GIF, AVIF or HEIC, please."
PROMPT = "a fox in the snow"


async def test_a_picture_has_alt_text_facts_and_next_steps(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)

    assert message.is_v2
    assert [picture.alt_text for picture in message.pictures] == ["a fox in the snow (drawn by FLUX schnell)"]
    assert open_picture(message.pictures[0].data).tobytes() == open_picture(make_png()).tobytes()
    assert "FLUX schnell · seed " in message.text
    assert [label.partition(" ·")[0] for label in message.button_labels] == [
        *("Again", "Finish", "Vary", "Edit", "Upscale", "Animate", "Caption", "Edit prompt", "Delete", "Report")
    ]


async def test_a_delivered_file_says_how_it_was_made_and_is_known_again(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT, seed=5)
    data = message.pictures[0].data

    assert open_picture(data).info["parameters"] == f"{PROMPT}\nSeed: 5, Size: 32x24, Model: flux-schnell"
    edited = await finish(await town.ana.use_command("edit", {"prompt": "in winter", "image": data}))
    assert "Undo" in edited.button_labels
    shown = await (await town.ana.use_command("recipe", {"image": data})).wait_for_private_message()
    assert f"The file says: “{PROMPT}”" in shown.text
    assert [label.partition(" ·")[0] for label in shown.button_labels] == ["Again", "Vary"]
    await town.set("prompts", False)
    assert (await draw_picture(town.ana, prompt=PROMPT)).pictures[0].data == make_png()


async def test_four_pictures_have_four_of_each_step(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT, count=4)

    assert [picture.filename for picture in message.pictures] == [f"a-fox-in-the-snow-{n}.png" for n in (1, 2, 3, 4)]
    assert [label for label in message.button_labels if label.startswith("Upscale")] == [
        f"Upscale {n}" for n in (1, 2, 3, 4)
    ]


async def test_each_step_starts_from_the_right_picture(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT, count=2)

    upscale = await finish(await town.ana.press(message, "Upscale 2"))
    again = await finish(await town.ana.press(message, "Again"))

    assert len({message.id, upscale.id, again.id}) == 3
    assert [run.model.task for run in town.backend.runs.values()] == ["imagine", "upscale", "imagine"]


async def test_a_draft_is_finished_on_the_finer_model(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT, count=2)

    finished = await finish(await town.ben.press(message, "Finish all 2 · FLUX dev, 50 credits"))

    draft, finer = town.backend.runs.values()
    assert (finer.model.key, finer.inputs["seed"]) == ("flux-dev", draft.inputs["seed"])
    assert len(finished.pictures) == 2


async def test_other_users_can_vary_and_caption_a_picture(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)
    vary = next(label for label in message.button_labels if label.startswith("Vary"))

    variation = await finish(await town.ben.press(message, vary))
    answer = await finish(await town.ben.press(message, "Caption"))

    assert "credits" in vary
    assert variation.pictures
    assert answer.content.startswith("A short answer.")


async def test_edit_prompt_opens_a_form_with_the_prompt(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)

    opening = await town.ana.press(message, "Edit prompt")
    form = await opening.wait_for_modal()
    submission = await town.ana.submit(form, {"Prompt": "a fox in the rain"})
    second = await finish(submission)

    assert form.title == "Edit prompt"
    assert second.pictures[0].alt_text == "a fox in the rain (drawn by FLUX schnell)"
    assert town.backend.last_run.inputs["prompt"] == "a fox in the rain"


async def test_a_refused_form_returns_the_input(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)
    await town.add_word("wolf")

    form = await (await town.ana.press(message, "Edit prompt")).wait_for_modal()
    submission = await town.ana.submit(form, {"Prompt": "a wolf in the rain"})
    answer = await submission.wait_for_private_message()

    assert "not wanted here" in answer.text
    assert "a wolf in the rain" in answer.text
    assert len(town.backend.runs) == 1


async def test_only_the_asker_and_moderators_can_delete(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)

    refusal = await (await town.ben.press(message, "Delete")).wait_for_private_message()
    await (await town.ana.press(message, "Delete")).wait_for_acknowledgement()
    await town.wait_until(lambda: message.is_deleted and not town.list_kept_files())

    assert refusal.text == "Only the person who asked, or a moderator, can delete this."


async def test_the_owner_takes_down_a_reported_picture(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)
    owner = town.owner_in_the_guild()

    answer = await (await town.ben.press(message, "Report")).wait_for_private_message()
    notice = await town.wait_until(lambda: owner.direct_channel.messages and owner.direct_channel.last_message)
    await town.owner.press(notice, "Take down")
    await town.wait_until(lambda: message.is_deleted and not town.list_kept_files())

    assert answer.text == "Thank you. The moderators have been told."
    assert "Ben reported what /imagine made for Ana" in notice.text


async def test_show_gives_channel_members_the_picture_with_working_buttons(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)
    job = await town.get_job_id(message)

    show_answer = await (await town.ben.use_command("show", {"job": job})).wait_for_private_message()
    again = await finish(await town.ben.press(show_answer, "Again"))

    assert show_answer.pictures[0].data == message.pictures[0].data
    assert again.is_ephemeral


async def test_a_picture_above_the_upload_limit_is_shrunk_with_a_remark(town: Town) -> None:
    noise = Image.effect_noise((1300, 1100), 90).convert("RGB")
    file = io.BytesIO()
    noise.save(file, "PNG")
    town.backend.will(picture=file.getvalue())
    town.guild.upload_limit_bytes = 1_100_000

    message = await draw_picture(town.ana, prompt=PROMPT)

    assert len(file.getvalue()) > town.guild.upload_limit_bytes
    assert len(message.pictures[0].data) <= town.guild.upload_limit_bytes
    assert "The picture was made smaller, to fit what can be uploaded here" in message.text
    town.expect_violation("413", "40005")


async def test_an_attached_picture_is_upscaled(town: Town) -> None:
    interaction = await town.ana.use_command("upscale", {"image": make_png(64, 48)})
    message = await finish(interaction)

    assert message.pictures


async def test_a_file_without_a_picture_is_refused_privately_and_costs_nothing(town: Town) -> None:
    interaction = await town.ana.use_command("upscale", {"image": b"not a picture at all"})
    answer = await interaction.wait_for_private_message()

    assert "not a picture I can read" in answer.text
    assert town.general.messages == []
    assert town.backend.runs == {}


async def test_a_picture_at_the_head_of_a_thread_is_captioned(town: Town) -> None:
    head = await town.ben.say("A hill.", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    thread = await town.ben.open_thread("hills", on=head)
    for n in range(40):
        await town.ben.say(f"hill number {n}", thread)

    await town.ana.say(f"{town.emulator.bot.mention} caption", thread)
    answer = await town.wait_until(
        lambda: thread.messages[40:] and is_done(thread.last_message) and thread.last_message
    )

    assert answer.content.startswith("A short answer.")
    assert town.backend.last_run.model.task == "caption"


async def test_the_bots_own_picture_in_a_thread_is_captioned_and_enlarged(town: Town) -> None:
    thread = await town.ben.open_thread("foxes", on=await town.ben.say("Foxes!", town.general))
    await draw_picture(town.ana, channel=thread, prompt=PROMPT)

    await town.ana.say(f"{town.emulator.bot.mention} caption", thread)
    await town.wait_until(lambda: len(thread.messages) == 3 and is_done(thread.last_message))
    await finish(await town.ana.use_command("upscale", {"scale": 4}, channel=thread))

    assert [run.model.task for run in town.backend.runs.values()] == ["imagine", "caption", "upscale"]


async def test_a_command_or_mention_without_a_picture_takes_the_last_of_the_channel(town: Town) -> None:
    await town.ben.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png(40, 30))])
    await town.ben.say("a nice hill", town.general)

    by_command = await finish(await town.ana.use_command("caption"))
    question = await town.ana.say(f"{town.emulator.bot.mention} caption", town.general)
    by_mention = await town.wait_until(
        lambda: (
            town.general.last_message.reference is question
            and is_done(town.general.last_message)
            and town.general.last_message
        )
    )

    assert by_command.content.startswith("A short answer.")
    assert by_mention.content.startswith("A short answer.")


async def test_a_command_without_any_picture_says_so(town: Town) -> None:
    await town.ben.say("only words", town.general)

    by_command = await (await town.ana.use_command("caption")).wait_for_private_message()

    assert by_command.text == "image is missing: Which picture? Attach a file or give a link."


async def test_a_phones_picture_and_one_without_a_name_ending_are_read(town: Town) -> None:
    await finish(await town.ana.use_command("caption", {"image": DiscordFileUpload("IMG_1.HEIC", make_heic())}))
    await town.ana.send_direct_message("caption", files=[DiscordFileUpload("IMG_2.heic", make_heic())])
    await town.wait_until(
        lambda: town.ana.direct_channel.messages[1:] and is_done(town.ana.direct_channel.last_message)
    )
    await town.ana.send_direct_message("caption", files=[DiscordFileUpload("picture", make_png())])
    await town.wait_until(
        lambda: town.ana.direct_channel.messages[3:] and is_done(town.ana.direct_channel.last_message)
    )

    pictures = [run.picture.partition(";")[0] for run in town.backend.runs.values()]
    assert pictures == ["data:image/jpeg", "data:image/jpeg", "data:image/png"]


async def test_a_picture_alone_with_a_recipe_is_drawn_again_by_a_button(town: Town) -> None:
    picture = make_recipe_picture("Seed: 5, Model: flux-schnell")
    await town.ana.send_direct_message("", files=[DiscordFileUpload("fox.png", picture)])
    shown = await town.wait_until(lambda: town.ana.direct_channel.messages[1:] and town.ana.direct_channel.last_message)

    assert "a fox in the snow" in shown.text
    await finish(await town.ana.press(shown, "Again · FLUX schnell, 3 credits"))

    assert town.backend.last_run.inputs["seed"] == 5


async def test_a_file_that_is_no_picture_is_named(town: Town) -> None:
    pdf = DiscordFileUpload("plan.pdf", b"%PDF-1.7 a plan")

    by_command = await (await town.ana.use_command("caption", {"image": pdf})).wait_for_private_message()
    await town.ana.send_direct_message("caption", files=[pdf])
    by_message = await town.wait_until(
        lambda: town.ana.direct_channel.messages[1:] and town.ana.direct_channel.last_message
    )

    assert by_command.text == by_message.text == NO_PICTURE


async def test_message_commands_work_on_pictures_of_others(town: Town) -> None:
    post = await town.ben.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png(40, 30))])

    answer = await finish(await town.ana.use_message_command("Caption", post))
    read = await finish(await town.ana.use_message_command("Read text", post))
    prompt = str(town.backend.last_run.inputs["prompt"])
    larger = await finish(await town.ana.use_message_command("Upscale", post))
    form = await (await town.ana.use_message_command("Remix", post)).wait_for_modal()
    submission = await town.ana.submit(form, {"Prompt": "the same hill in spring", "Strength": "0.4"})
    remix = await finish(submission)

    assert answer.content.startswith("A short answer.")
    assert read.content.startswith("A short answer.")
    assert prompt.startswith("Write down all text in this picture")
    assert larger.pictures
    assert "the same hill in spring" in str(remix.pictures[0].alt_text)
    assert town.backend.last_run.picture.startswith("data:image/")
    assert 0.4 in town.backend.last_run.inputs.values()


async def test_edit_works_on_all_pictures_of_a_message_and_on_attached_pictures(town: Town) -> None:
    files = [DiscordFileUpload(f"{colour}.png", make_png(colour=colour)) for colour in ("red", "green")]
    post = await town.ben.say("look", town.general, files=files)

    form = await (await town.ana.use_message_command("Edit", post)).wait_for_modal()
    await finish(await town.ana.submit(form, {"Prompt": "make it winter"}))
    assert str(town.backend.last_run.inputs["images"]).count("data:image/") == 2

    options = {"prompt": "blend", "image": make_png(colour="red"), "image2": make_png(colour="blue")}
    await finish(await town.ana.use_command("edit", {**options, "image3": make_png(colour="white")}))
    assert str(town.backend.last_run.inputs["images"]).count("data:image/") == 3


async def test_more_pictures_than_edit_takes_are_refused_with_the_words_kept(town: Town) -> None:
    files = [DiscordFileUpload(f"{n}.png", make_png(40 + n)) for n in range(5)]
    post = await town.ben.say("look", town.general, files=files)

    form = await (await town.ana.use_message_command("Edit", post)).wait_for_modal()
    answer = await (await town.ana.submit(form, {"Prompt": "make it winter"})).wait_for_private_message()

    assert answer.text.startswith("/edit takes at most 4 pictures, and that message has 5.")
    assert "make it winter" in answer.text


async def test_message_commands_work_on_the_bot_s_pictures(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)

    answer = await finish(await town.ben.use_message_command("Caption", message))

    assert answer.content.startswith("A short answer.")


async def test_a_message_command_refuses_a_message_without_a_picture(town: Town) -> None:
    post = await town.ben.say("only words", town.general)

    answer = await (await town.ana.use_message_command("Caption", post)).wait_for_private_message()

    assert answer.text == "There is no picture in that message."


async def test_a_reply_with_a_mention_brings_the_bot_s_own_picture(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    message = await draw_picture(town.ana, prompt=PROMPT)
    tells = message_payloads.message_json

    def told(message: DiscordMessageState, *given: object, **traits: object) -> dict[str, Any]:
        payload = tells(message, *given, **traits)  # type: ignore[arg-type] # handed on as given
        return payload | ({"attachments": []} if message.is_v2 else {})

    monkeypatch.setattr(message_payloads, "message_json", told)
    await town.ana.say(f"{town.emulator.bot.mention} caption", reply_to=message)
    answer = await town.wait_until(lambda: town.general.messages[2:] and town.general.last_message)
    await answer.wait_until(is_done)

    assert answer.content.startswith("A short answer.")
    assert town.backend.last_run.picture.startswith("data:image/")


async def test_replies_without_a_mention_edit_a_picture_and_take_the_change_back(town: Town) -> None:
    drawn = await draw_picture(town.ana)
    town.backend.will(picture=make_png(colour="white"))

    await town.ben.say("make it winter", reply_to=drawn)
    winter = await town.wait_until(lambda: town.general.last_message.pictures and town.general.last_message)
    await winter.wait_until(is_done)
    await town.ben.say("undo that, please", reply_to=winter)
    back = await town.wait_until(lambda: town.general.last_message.pictures and town.general.last_message)
    await back.wait_until(is_done)

    assert town.backend.last_run.inputs["prompt"] == "make it winter"
    assert winter.button_labels[1] == "Undo"
    assert "back to the picture before · free" in back.text
    assert [picture.data for picture in back.pictures] == [picture.data for picture in drawn.pictures]
    again = await finish(await town.ana.press(winter, "Undo"))
    assert again.pictures[0].data == drawn.pictures[0].data
    line = await run_command(town.ben, "show", {"job": await town.get_job_id(winter), "ancestors": True})
    assert "2. /edit make it winter" in line.text
    assert (len(line.pictures), line.button_labels) == (1, ["Show 1", "Show 2"])
    assert len(town.backend.runs) == 2


async def test_a_reply_to_a_deleted_picture_takes_no_other_picture(town: Town) -> None:
    await town.ben.say("a hill", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    fox = await town.ben.say("a fox", town.general, files=[DiscordFileUpload("fox.png", make_png(40, 30))])
    town.emulator.delete_message(fox)
    sentence = "The message that you reply to is deleted. Send the picture or recording again."

    for n, words in enumerate(("make it winter", "caption"), 1):
        await town.ana.say(f"{town.emulator.bot.mention} {words}", reply_to=fox)
        await town.wait_until(lambda: [one.content for one in town.general.messages].count(sentence) == n)  # noqa: B023 - awaited here
    assert town.backend.runs == {}

    question = await town.ana.say(f"{town.emulator.bot.mention} what was it?", reply_to=fox)
    thread = await town.wait_until(lambda: question.thread)
    await town.wait_until(lambda: thread.messages and is_done(thread.last_message))

    assert town.backend.last_run.pictures == []


async def test_the_request_above_a_picture_is_cut_and_notifies_no_user(town: Town) -> None:
    prompt = f"a fox\nfor {town.ben.user.mention} [here](https://evil.example) {'x' * 400}"

    message = await draw_picture(town.ana, prompt=prompt, batch=False)

    first = message.text.splitlines()[0]
    assert first.startswith("-# Ana: /imagine a fox for @Ben [here] (https://evil.example)")
    assert first.endswith("…")
    assert len(first) == 303
    assert message.notified_users == []


async def test_a_picture_beyond_25_megapixels_is_delivered_in_a_smaller_copy(town: Town) -> None:
    # Noise packs badly: more than Discord takes.
    strip = Image.effect_noise((5_200, 500), 90)
    picture = Image.new("L", (5_200, 5_000))
    for top in range(0, 5_000, 500):
        picture.paste(strip, (0, top))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG", compress_level=1)
    town.backend.will(picture=encoded.getvalue())

    interaction = await town.ana.use_command("upscale", {"image": make_png(1_300, 1_250), "scale": 4.0})
    upscale = await (await interaction.wait_for_message()).wait_until(is_done, timeout_seconds=40)

    [shown] = upscale.pictures
    assert len(shown.data) <= 10 * 1024 * 1024
    with Image.open(io.BytesIO(shown.data)) as small:
        assert small.width / small.height == pytest.approx(1.04, rel=0.01)
    assert "made smaller" in upscale.text
    assert "5200×5000" in upscale.text


async def test_a_preset_gives_its_options_to_a_picture(town: Town) -> None:
    saved = await read_answer(town.ana, "preset save", {"name": "ours", "count": 2, "model": "sdxl"})
    assert saved == "**ours** is saved: model `sdxl`, count 2.\nGive `ours` as the option `preset` of /imagine."

    for who, suggested in ((town.ana, [{"name": "ours · yours", "value": "ours"}]), (town.ben, [])):
        typing = await who.autocomplete("imagine", "preset", "ou", {"prompt": "a fox"})
        assert await typing.wait_for_choices() == suggested

    message = await draw_picture(town.ana, preset="ours")

    assert len(message.pictures) == 2
    assert "SDXL · seed " in message.text
    refused = await read_answer(town.ben, "imagine", {"prompt": "a fox", "preset": "ours"})
    assert refused == "There is no preset called “ours”. /preset list shows them, and /preset save adds one."


async def test_a_batch_is_asked_privately_and_shown_in_galleries(town: Town) -> None:
    interaction = await town.ana.use_command("imagine", {"prompt": "{a|b|c|d|e|f} fox, {dawn|dusk}"})
    question = await interaction.wait_for_private_message()
    assert question.text.startswith("12 pictures with FLUX schnell cost 36 credits. Go ahead?")
    assert question.button_labels == ["Draw 12", "As one prompt", "No"]

    message = await finish(await town.ana.press(question, "Draw 12"))
    await town.wait_until_idle()

    further = town.general.messages[-1]
    assert not message.is_ephemeral
    assert [picture.filename for picture in message.pictures][:2] == ["contact-sheet.jpg", "1-a-fox-dawn.png"]
    assert [len(one.pictures) for one in (message, further)] == [10, 3]
    assert further.text == "Pictures 10 to 12 of 12"
    shown = await (await town.ben.press(further, "Show 11")).wait_for_private_message()
    assert [picture.filename for picture in shown.pictures] == ["f-fox-dawn.png"]
    await town.ana.press(message, "Delete all")
    await town.wait_until(lambda: not {message, further} & set(town.general.messages))
