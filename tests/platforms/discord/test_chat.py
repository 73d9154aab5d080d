"""Talk: by command, by mention, directly, in threads, and what stays of it."""

from tests.platforms.discord.town import Town, is_done


async def test_an_answer_grows_and_its_thread_goes_on_without_the_command(town: Town) -> None:
    asked = await town.ana.command("chat", {"message": "What do foxes eat?"})
    answer = await (await asked.message()).becomes(is_done)
    thread = await town.until(lambda: answer.thread)

    await town.ana.say("And in winter?", thread)
    second = await (await town.until(lambda: thread.messages[1:] and thread.messages[-1])).becomes(is_done)

    assert answer.content.startswith("A short answer.")
    assert thread.name == "What do foxes eat?"
    assert second.content.startswith("A short answer.")
    assert "What do foxes eat?" in str(town.backend.last.inputs["prompt"])


async def test_a_mention_begins_a_conversation_in_a_thread_of_its_own(town: Town) -> None:
    said = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)

    thread = await town.until(lambda: said.thread)
    answer = await (await town.until(lambda: thread.messages and thread.messages[0])).becomes(is_done)

    assert answer.content.startswith("A short answer.")
    assert thread.name == "what do foxes eat?"


async def test_direct_messages_are_a_conversation_on_the_budget_of_a_server_that_both_are_in(town: Town) -> None:
    await town.ana.dm("what do foxes eat?")
    direct = town.ana.direct_channel
    answer = await (await town.until(lambda: direct.messages[1:] and direct.messages[-1])).becomes(is_done)

    job = await town.app.jobs.get(await town.job_of(answer))

    assert job is not None
    assert job.user.workspace == str(town.guild.id)
