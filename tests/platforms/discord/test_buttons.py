"""Buttons: after a restart, pressed twice, by other users, and after the job is gone."""

import asyncio

from tests.emulators.discord.files import DiscordFileUpload
from tests.fakes.backend import make_png
from tests.platforms.discord.dialogue import draw_picture
from tests.platforms.discord.town import Town, finish, is_done


async def test_buttons_work_after_a_restart(town: Town) -> None:
    message = await draw_picture(town.ana)
    answer = await finish(await town.ana.use_command("chat", {"message": "hello"}))
    await town.restart()

    again = await finish(await town.ana.press(message, "Again"))
    form = await (await town.ana.press(message, "Edit prompt")).wait_for_modal()
    reply = await finish(await town.ana.press(answer, "Regenerate"))

    assert again.pictures
    assert form.components
    assert reply.content.startswith("A short answer.")


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
    message = await draw_picture(town.ana)
    town.backend.will(hangs_after=0)

    first, second = await asyncio.gather(town.ana.press(message, "Again"), town.ana.press(message, "Again"))
    await town.wait_until(lambda: first.private_replies or second.private_replies)
    refusals = [one for interaction in (first, second) for one in interaction.private_replies]
    await town.wait_until(lambda: len(town.backend.runs) == 2)
    town.backend.last_run.released.set()
    await town.wait_until_idle()

    assert [message.text for message in refusals] == ["I am on it: that button was pressed a moment ago."]
    assert len(town.backend.runs) == 2


async def test_the_asker_can_stop_a_job_from_the_placeholder_on(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()

    refusal = await (await town.ben.press(message, "Stop")).wait_for_private_message()
    await town.ana.press(message, "Stop")
    await message.wait_until(is_done)

    assert refusal.text == "Only the person who asked, or a moderator, can stop this."
    assert "⏹ Stopped." in message.text


async def test_moderators_stop_jobs_of_others(town: Town) -> None:
    moderator = town.guild.add_member("Mia", roles=[town.guild.add_role("moderators", "manage_guild")])
    town.backend.will(hangs_after=0)
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()

    await moderator.press(message, "Stop")
    await message.wait_until(is_done)

    assert "⏹ Stopped." in message.text


async def test_a_button_whose_job_is_gone_says_so(town: Town) -> None:
    message = await draw_picture(town.ana)
    button = next(node for row in message.components for node in row.get("components", ()))
    button["custom_id"] = "easel:again:00000000000000000000:0"

    answer = await (await town.ana.press(message, custom_id=button["custom_id"])).wait_for_private_message()

    assert answer.text == "That job is not here any more, so its buttons do nothing."


async def test_a_button_of_an_older_version_says_so(town: Town) -> None:
    message = await draw_picture(town.ana)
    rows = [node for row in message.components for node in row.get("components", ())]
    rows[0]["custom_id"], rows[1]["custom_id"] = "something else", f"easel:juggle:{await town.get_job_id(message)}:0"

    unknown = await (await town.ana.press(message, custom_id="something else")).wait_for_private_message()
    unknown_action = await (await town.ana.press(message, custom_id=rows[1]["custom_id"])).wait_for_private_message()

    assert unknown.text.startswith("That belongs to an older version of me, or to another bot.")
    assert unknown_action.text.startswith("That button belongs to an older version of the bot.")


async def test_a_form_about_a_picture_survives_a_restart(town: Town) -> None:
    post = await town.ben.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    form = await (await town.ana.use_message_command("Remix", post)).wait_for_modal()
    await town.restart()

    submission = await town.ana.submit(form, {"Prompt": "the hill in spring"})
    message = await finish(submission)

    assert "the hill in spring" in str(message.pictures[0].alt_text)
    assert "image" in town.backend.last_run.inputs


async def test_a_form_about_a_deleted_picture_returns_the_input_with_an_error(town: Town) -> None:
    post = await town.ben.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    form = await (await town.ana.use_message_command("Remix", post)).wait_for_modal()
    await town.restart()
    town.emulator.delete_message(post)

    answer = await (await town.ana.submit(form, {"Prompt": "the hill in spring"})).wait_for_private_message()

    assert "Please choose it again" in answer.text
    assert "the hill in spring" in answer.text


async def test_a_confirmation_is_private_and_its_picture_public(town: Town) -> None:
    await town.set("confirm_above_credits", 1)

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox", "model": "flux-dev"})
    question = await interaction.wait_for_private_message()
    press = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    message = await finish(press)
    await question.wait_until(lambda one: not one.button_labels)

    assert len(question.versions[0].button_labels) == 2
    assert message.pictures
    assert not message.is_ephemeral
    assert town.general.messages == [message]


async def test_a_declined_confirmation_costs_nothing(town: Town) -> None:
    await town.set("confirm_above_credits", 1)
    question = await (
        await town.ana.use_command("imagine", {"prompt": "a fox", "model": "flux-dev"})
    ).wait_for_private_message()

    answer = await (await town.ana.press(question, "No")).wait_for_private_message()
    await question.wait_until(lambda one: not one.button_labels)

    assert answer.text == "All right: nothing was done, and nothing was charged."
    assert town.backend.runs == {}


async def test_a_confirmation_after_a_mention_replies_to_the_mention_and_only_the_asker_answers(town: Town) -> None:
    await town.set("confirm_above_credits", 1)
    await town.ana.say(f"{town.emulator.bot.mention} imagine a fox --model flux-dev", town.general)
    question = await town.wait_until(lambda: town.general.messages[1:] and town.general.last_message)

    refusal = await (await town.ben.press(question, custom_id=question.buttons[0].custom_id)).wait_for_private_message()
    press = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    message = await finish(press)

    assert refusal.text == "Only the person who was asked can answer this."
    assert message.pictures


async def test_a_confirmed_chat_continues_in_a_thread(town: Town) -> None:
    await town.set("confirm_above_credits", 0.1)
    interaction = await town.ana.use_command("chat", {"message": "What do foxes eat?", "model": "llama-3-70b"})
    question = await interaction.wait_for_private_message()

    press = await town.ana.press(question, custom_id=question.buttons[0].custom_id)
    answer = await finish(press)
    thread = await town.wait_until(lambda: answer.thread)
    await town.set("confirm_above_credits", 0)
    await town.ana.say("And in winter?", thread)
    second = await town.wait_until(lambda: thread.messages[1:] and thread.last_message)
    await second.wait_until(is_done)

    job = await town.app.jobs.get(await town.get_job_id(second))
    assert job is not None
    assert "What do foxes eat?" in str(job.inputs["prompt"])


async def test_the_form_of_a_published_model_has_steps_and_its_run_is_public(town: Town) -> None:
    question = await (await town.ana.use_command("run", {"model": "flux-schnell"})).wait_for_private_message()
    assert "Still needed: prompt." in question.text

    form = await (await town.ana.press(question, "Inputs 1 to 5")).wait_for_modal()
    question = await (
        await town.ana.submit(form, {"Prompt": "an owl", "Style": "ink", "Fast": "no"})
    ).wait_for_private_message()
    assert "- style: ink" in question.text
    form = await (await town.ana.press(question, "Inputs 6 to 7")).wait_for_modal()
    question = await (await town.ana.submit(form, {"Words": "old\nwise"})).wait_for_private_message()
    message = await finish(await town.ana.press(question, "Run"))

    assert message.pictures
    assert not message.is_ephemeral
    inputs = {"prompt": "an owl", "style": "ink", "fast": False, "words": ["old", "wise"]}
    assert town.backend.last_run.inputs == inputs


async def test_a_mistake_in_the_form_of_a_published_model_returns_the_input(town: Town) -> None:
    question = await (await town.ana.use_command("run", {"model": "flux-schnell"})).wait_for_private_message()
    form = await (await town.ana.press(question, "Inputs 1 to 5")).wait_for_modal()

    answer = await (await town.ana.submit(form, {"Prompt": "an owl", "Steps": "99"})).wait_for_private_message()

    assert answer.text.startswith("steps must be from 1 to 50, not 99.")
    assert "prompt: an owl" in answer.text


async def test_a_published_model_whose_files_are_pictures_shows_pictures(town: Town) -> None:
    await town.set("run", "anything")
    await town.set("run_below_credits", 1_000)
    interaction = await town.ana.use_command("run", {"model": "owner/painter", "inputs": "a fox"})
    question = await interaction.wait_for_private_message()

    message = await finish(await town.ana.press(question, "Run"))

    assert message.pictures
