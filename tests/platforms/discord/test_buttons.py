"""Buttons never die: after a restart, pressed twice, by others, or long after their job is gone."""

import asyncio

from tests.emulators.discord.posting import Upload
from tests.fakes.backend import png
from tests.platforms.discord.test_pictures import drawn
from tests.platforms.discord.town import Town, is_done


async def test_buttons_work_after_a_restart(town: Town) -> None:
    message = await drawn(town)
    answer = await (await (await town.ana.command("chat", {"message": "hello"})).message()).becomes(is_done)
    await town.restart()

    again = await (await (await town.ana.press(message, "Again")).message()).becomes(is_done)
    form = await (await town.ana.press(message, "Edit prompt")).modal_shown()
    told = await (await (await town.ana.press(answer, "Regenerate")).message()).becomes(is_done)

    assert again.gallery
    assert form.components
    assert told.content.startswith("A short answer.")


async def test_a_job_that_was_running_is_finished_in_its_message_after_a_restart(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.command("imagine", {"prompt": "a fox"})).message()
    await town.running(message)

    await town.restart()
    town.backend.last.let_go.set()
    await message.becomes(is_done)

    assert message.gallery
    assert len(town.backend.runs) == 1


async def test_a_button_pressed_twice_at_once_is_one_job(town: Town) -> None:
    message = await drawn(town)
    town.backend.will(hangs_after=0)

    first, second = await asyncio.gather(town.ana.press(message, "Again"), town.ana.press(message, "Again"))
    await town.until(lambda: first.private_replies or second.private_replies)
    refused = [one for interaction in (first, second) for one in interaction.private_replies]
    await town.until(lambda: len(town.backend.runs) == 2)
    town.backend.last.let_go.set()
    await town.settled()

    assert [message.text for message in refused] == ["I am on it: that button was pressed a moment ago."]
    assert len(town.backend.runs) == 2


async def test_a_job_can_be_stopped_from_the_first_moment_by_its_asker(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.command("imagine", {"prompt": "a fox"})).message()

    refused = await (await town.ben.press(message, "Stop")).private_message()
    await town.ana.press(message, "Stop")
    await message.becomes(is_done)

    assert refused.text == "Only the person who asked, or a moderator, can stop this."
    assert "⏹ Stopped." in message.text


async def test_moderators_stop_what_others_asked(town: Town) -> None:
    moderator = town.guild.member("Mia", roles=[town.guild.add_role("moderators", "manage_guild")])
    town.backend.will(hangs_after=0)
    message = await (await town.ana.command("imagine", {"prompt": "a fox"})).message()

    await moderator.press(message, "Stop")
    await message.becomes(is_done)

    assert "⏹ Stopped." in message.text


async def test_a_button_whose_job_is_gone_says_so(town: Town) -> None:
    message = await drawn(town)
    button = next(node for row in message.components for node in row.get("components", ()))
    button["custom_id"] = "easel:again:00000000000000000000:0"

    told = await (await town.ana.press(message, custom_id=button["custom_id"])).private_message()

    assert told.text == "That job is not here any more, so its buttons do nothing."


async def test_a_button_of_another_age_says_so(town: Town) -> None:
    message = await drawn(town)
    rows = [node for row in message.components for node in row.get("components", ())]
    rows[0]["custom_id"], rows[1]["custom_id"] = "something else", f"easel:juggle:{await town.job_of(message)}:0"

    unknown = await (await town.ana.press(message, custom_id="something else")).private_message()
    juggled = await (await town.ana.press(message, custom_id=rows[1]["custom_id"])).private_message()

    assert unknown.text.startswith("That belongs to an older version of me, or to another bot.")
    assert juggled.text.startswith("That button belongs to an older version of the bot.")


async def test_a_form_about_a_picture_survives_a_restart(town: Town) -> None:
    posted = await town.ben.say("look", town.general, files=[Upload("hill.png", png())])
    form = await (await town.ana.message_command("Remix", posted)).modal_shown()
    await town.restart()

    sent = await town.ana.submit(form, {"Prompt": "the hill in spring"})
    message = await (await sent.message()).becomes(is_done)

    assert "the hill in spring" in str(message.gallery[0].alt_text)
    assert "image" in town.backend.last.inputs


async def test_a_form_about_a_picture_that_is_gone_says_so_with_what_was_typed(town: Town) -> None:
    posted = await town.ben.say("look", town.general, files=[Upload("hill.png", png())])
    form = await (await town.ana.message_command("Remix", posted)).modal_shown()
    await town.restart()
    town.emulator.delete_message(posted)

    told = await (await town.ana.submit(form, {"Prompt": "the hill in spring"})).private_message()

    assert "Please choose it again" in told.text
    assert "the hill in spring" in told.text


async def test_a_question_about_a_dear_picture_is_put_privately_and_answered_publicly(town: Town) -> None:
    await town.set("confirm_above_credits", 1)

    asked = await town.ana.command("imagine", {"prompt": "a fox", "model": "flux-dev"})
    question = await asked.private_message()
    pressed = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    message = await (await pressed.message()).becomes(is_done)
    await question.becomes(lambda one: not one.labels)

    assert len(question.versions[0].labels) == 2
    assert message.gallery
    assert not message.is_ephemeral
    assert town.general.messages == [message]


async def test_a_declined_question_costs_nothing(town: Town) -> None:
    await town.set("confirm_above_credits", 1)
    question = await (await town.ana.command("imagine", {"prompt": "a fox", "model": "flux-dev"})).private_message()

    told = await (await town.ana.press(question, "No")).private_message()
    await question.becomes(lambda one: not one.labels)

    assert told.text == "All right: nothing was done, and nothing was charged."
    assert town.backend.runs == {}


async def test_a_question_after_a_mention_stands_below_it_and_only_its_person_answers(town: Town) -> None:
    await town.set("confirm_above_credits", 1)
    await town.ana.say(f"{town.emulator.bot.mention} imagine a fox --model flux-dev", town.general)
    question = await town.until(lambda: town.general.messages[1:] and town.general.last_message)

    refused = await (await town.ben.press(question, custom_id=question.buttons[0].custom_id)).private_message()
    pressed = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    message = await (await pressed.message()).becomes(is_done)

    assert refused.text == "Only the person who was asked can answer this."
    assert message.gallery


async def test_an_answer_that_was_agreed_to_goes_on_in_a_thread_as_any_other(town: Town) -> None:
    await town.set("confirm_above_credits", 0.1)
    asked = await town.ana.command("chat", {"message": "What do foxes eat?", "model": "llama-3-70b"})
    question = await asked.private_message()

    pressed = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    answer = await (await pressed.message()).becomes(is_done)
    thread = await town.until(lambda: answer.thread)
    await town.set("confirm_above_credits", 0)
    await town.ana.say("And in winter?", thread)
    second = await town.until(lambda: thread.messages[1:] and thread.last_message)
    await second.becomes(is_done)

    job = await town.app.jobs.get(await town.job_of(second))
    assert job is not None
    assert "What do foxes eat?" in str(job.inputs["prompt"])
