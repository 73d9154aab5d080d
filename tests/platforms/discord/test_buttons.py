"""Buttons never die: after a restart, pressed twice, by others, or long after their job is gone."""

import asyncio

from tests.emulators.discord.posting import DiscordFileUpload
from tests.fakes.backend import make_png
from tests.platforms.discord.test_pictures import draw_fox
from tests.platforms.discord.town import Town, is_done


async def test_buttons_work_after_a_restart(town: Town) -> None:
    message = await draw_fox(town)
    answer = await (await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()).wait_until(
        is_done
    )
    await town.restart()

    again = await (await (await town.ana.press(message, "Again")).wait_for_message()).wait_until(is_done)
    form = await (await town.ana.press(message, "Edit prompt")).wait_for_modal()
    told = await (await (await town.ana.press(answer, "Regenerate")).wait_for_message()).wait_until(is_done)

    assert again.pictures
    assert form.components
    assert told.content.startswith("A short answer.")


async def test_a_job_that_was_running_is_finished_in_its_message_after_a_restart(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()
    await town.wait_until_running(message)

    await town.restart()
    town.backend.last_run.released.set()
    await message.wait_until(is_done)

    assert message.pictures
    assert len(town.backend.runs) == 1


async def test_a_button_pressed_twice_at_once_is_one_job(town: Town) -> None:
    message = await draw_fox(town)
    town.backend.will(hangs_after=0)

    first, second = await asyncio.gather(town.ana.press(message, "Again"), town.ana.press(message, "Again"))
    await town.wait_until(lambda: first.private_replies or second.private_replies)
    refused = [one for interaction in (first, second) for one in interaction.private_replies]
    await town.wait_until(lambda: len(town.backend.runs) == 2)
    town.backend.last_run.released.set()
    await town.wait_until_idle()

    assert [message.text for message in refused] == ["I am on it: that button was pressed a moment ago."]
    assert len(town.backend.runs) == 2


async def test_a_job_can_be_stopped_from_the_first_moment_by_its_asker(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()

    refused = await (await town.ben.press(message, "Stop")).wait_for_private_message()
    await town.ana.press(message, "Stop")
    await message.wait_until(is_done)

    assert refused.text == "Only the person who asked, or a moderator, can stop this."
    assert "⏹ Stopped." in message.text


async def test_moderators_stop_what_others_asked(town: Town) -> None:
    moderator = town.guild.add_member("Mia", roles=[town.guild.add_role("moderators", "manage_guild")])
    town.backend.will(hangs_after=0)
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()

    await moderator.press(message, "Stop")
    await message.wait_until(is_done)

    assert "⏹ Stopped." in message.text


async def test_a_button_whose_job_is_gone_says_so(town: Town) -> None:
    message = await draw_fox(town)
    button = next(node for row in message.components for node in row.get("components", ()))
    button["custom_id"] = "easel:again:00000000000000000000:0"

    told = await (await town.ana.press(message, custom_id=button["custom_id"])).wait_for_private_message()

    assert told.text == "That job is not here any more, so its buttons do nothing."


async def test_a_button_of_another_age_says_so(town: Town) -> None:
    message = await draw_fox(town)
    rows = [node for row in message.components for node in row.get("components", ())]
    rows[0]["custom_id"], rows[1]["custom_id"] = "something else", f"easel:juggle:{await town.get_job_id(message)}:0"

    unknown = await (await town.ana.press(message, custom_id="something else")).wait_for_private_message()
    juggled = await (await town.ana.press(message, custom_id=rows[1]["custom_id"])).wait_for_private_message()

    assert unknown.text.startswith("That belongs to an older version of me, or to another bot.")
    assert juggled.text.startswith("That button belongs to an older version of the bot.")


async def test_a_form_about_a_picture_survives_a_restart(town: Town) -> None:
    posted = await town.ben.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    form = await (await town.ana.use_message_command("Remix", posted)).wait_for_modal()
    await town.restart()

    sent = await town.ana.submit(form, {"Prompt": "the hill in spring"})
    message = await (await sent.wait_for_message()).wait_until(is_done)

    assert "the hill in spring" in str(message.pictures[0].alt_text)
    assert "image" in town.backend.last_run.inputs


async def test_a_form_about_a_picture_that_is_gone_says_so_with_what_was_typed(town: Town) -> None:
    posted = await town.ben.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    form = await (await town.ana.use_message_command("Remix", posted)).wait_for_modal()
    await town.restart()
    town.emulator.delete_message(posted)

    told = await (await town.ana.submit(form, {"Prompt": "the hill in spring"})).wait_for_private_message()

    assert "Please choose it again" in told.text
    assert "the hill in spring" in told.text


async def test_a_question_about_a_dear_picture_is_put_privately_and_answered_publicly(town: Town) -> None:
    await town.set("confirm_above_credits", 1)

    asked = await town.ana.use_command("imagine", {"prompt": "a fox", "model": "flux-dev"})
    question = await asked.wait_for_private_message()
    pressed = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    message = await (await pressed.wait_for_message()).wait_until(is_done)
    await question.wait_until(lambda one: not one.button_labels)

    assert len(question.versions[0].button_labels) == 2
    assert message.pictures
    assert not message.is_ephemeral
    assert town.general.messages == [message]


async def test_a_declined_question_costs_nothing(town: Town) -> None:
    await town.set("confirm_above_credits", 1)
    question = await (
        await town.ana.use_command("imagine", {"prompt": "a fox", "model": "flux-dev"})
    ).wait_for_private_message()

    told = await (await town.ana.press(question, "No")).wait_for_private_message()
    await question.wait_until(lambda one: not one.button_labels)

    assert told.text == "All right: nothing was done, and nothing was charged."
    assert town.backend.runs == {}


async def test_a_question_after_a_mention_stands_below_it_and_only_its_person_answers(town: Town) -> None:
    await town.set("confirm_above_credits", 1)
    await town.ana.say(f"{town.emulator.bot.mention} imagine a fox --model flux-dev", town.general)
    question = await town.wait_until(lambda: town.general.messages[1:] and town.general.last_message)

    refused = await (await town.ben.press(question, custom_id=question.buttons[0].custom_id)).wait_for_private_message()
    pressed = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    message = await (await pressed.wait_for_message()).wait_until(is_done)

    assert refused.text == "Only the person who was asked can answer this."
    assert message.pictures


async def test_an_answer_that_was_agreed_to_goes_on_in_a_thread_as_any_other(town: Town) -> None:
    await town.set("confirm_above_credits", 0.1)
    asked = await town.ana.use_command("chat", {"message": "What do foxes eat?", "model": "llama-3-70b"})
    question = await asked.wait_for_private_message()

    pressed = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    answer = await (await pressed.wait_for_message()).wait_until(is_done)
    thread = await town.wait_until(lambda: answer.thread)
    await town.set("confirm_above_credits", 0)
    await town.ana.say("And in winter?", thread)
    second = await town.wait_until(lambda: thread.messages[1:] and thread.last_message)
    await second.wait_until(is_done)

    job = await town.app.jobs.get(await town.get_job_id(second))
    assert job is not None
    assert "What do foxes eat?" in str(job.inputs["prompt"])
