"""Talk: by command, by mention, directly, in threads, and what stays of it."""

from pathlib import Path

from bot.platforms.discord.channels import NAME
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.posting import DiscordFileUpload
from tests.emulators.discord.state import DiscordChannelState, DiscordGuildState
from tests.fakes.backend import make_png
from tests.platforms.discord.town import Town, is_done, open_town


async def last(town: Town, place: DiscordChannelState, than: int) -> DiscordMessageState:
    """The newest message of a place that has more than so many, once it is done."""
    message: DiscordMessageState = await town.wait_until(lambda: len(place.messages) > than and place.last_message)
    return await message.wait_until(is_done)


async def prompted(town: Town, message: DiscordMessageState) -> str:
    """What the model was asked for a finished answer."""
    job = await town.app.jobs.get(await town.get_job_id(message))
    assert job is not None
    return str(job.inputs["prompt"])


# By command.


async def test_an_answer_grows_and_its_thread_goes_on_without_the_command(town: Town) -> None:
    asked = await town.ana.use_command("chat", {"message": "What do foxes eat?"})
    answer = await (await asked.wait_for_message()).wait_until(is_done)
    thread = await town.wait_until(lambda: answer.thread)

    await town.ana.say("And in winter?", thread)
    second = await last(town, thread, 1)

    assert answer.content.startswith("A short answer.")
    assert not answer.is_v2
    assert thread.name == "What do foxes eat?"
    assert "What do foxes eat?" in await prompted(town, second)
    assert "And in winter?" in await prompted(town, second)


async def test_words_stream_into_one_message(town: Town) -> None:
    town.backend.will(words=tuple(f"word{n} " for n in range(40)), hangs_after=20)
    message = await (await town.ana.use_command("chat", {"message": "Go on"})).wait_for_message()

    await message.wait_until(lambda one: "word19" in one.content)
    town.backend.last_run.released.set()
    await message.wait_until(is_done)

    assert "word39" in message.content
    assert len(town.general.messages) == 1
    assert town.emulator.redundant_edits == []


async def test_a_long_answer_goes_over_several_messages_with_its_code_whole(town: Town) -> None:
    lines = "".join(f"print({n:04})  # a line of code\n" for n in range(150))
    town.backend.will(words=("Here:\n", "```python\n", lines, "```\n", "That is all."))

    asked = await town.ana.use_command("chat", {"message": "Write code"})
    await town.wait_until(lambda: any(is_done(message) for message in asked.replies))

    assert len(asked.replies) > 2
    assert all(message.content.count("```") % 2 == 0 for message in asked.replies)
    assert all(len(message.content) <= 2000 for message in asked.replies)
    assert "That is all." in asked.replies[-1].content


async def test_an_answer_can_be_made_again_beside_the_first_and_gone_on_with(town: Town) -> None:
    answer = await (await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()).wait_until(
        is_done
    )

    other = await (await (await town.ana.press(answer, "Regenerate")).wait_for_message()).wait_until(is_done)

    assert other.id != answer.id
    assert await prompted(town, other) == await prompted(town, answer)


async def test_a_stopped_answer_keeps_what_was_written_and_goes_on_by_a_button(town: Town) -> None:
    town.backend.will(words=("One ", "two ", "three"), hangs_after=2)
    message = await (await town.ana.use_command("chat", {"message": "Count"})).wait_for_message()
    await message.wait_until(lambda one: "two" in one.content)

    await town.ana.press(message, "Stop")
    await message.wait_until(is_done)
    town.backend.will(hangs_after=None, words=("three ", "four"))
    more = await (await (await town.ana.press(message, "Continue")).wait_for_message()).wait_until(is_done)

    assert message.content.startswith("One two")
    assert "⏹ Stopped." in message.content
    assert more.content.startswith("three four")


async def test_a_stream_that_breaks_keeps_its_words_and_says_why(town: Town) -> None:
    town.backend.will(words=("One ", "two ", "three"), error="out of memory")

    message = await (await (await town.ana.use_command("chat", {"message": "Count"})).wait_for_message()).wait_until(
        is_done
    )

    assert message.content.startswith("One two three")
    assert "⚠ The model failed: out of memory. You were not charged." in message.content
    assert {"Continue", "Try again"} <= set(message.button_labels)


async def test_model_text_pings_nobody_and_hides_no_link(town: Town) -> None:
    text = f"@everyone {town.ben.user.mention} see [discord.com/login](https://evil.example/x) and `[a](https://b.c)`"
    town.backend.will(words=(text,))

    message = await (await (await town.ana.use_command("chat", {"message": "hi"})).wait_for_message()).wait_until(
        is_done
    )

    assert all(not one.notified_users for one in town.general.history)
    assert "[discord.com/login] (https://evil.example/x)" in message.content
    assert "`[a](https://b.c)`" in message.content
    assert all(
        edit.body["flags"] & 1 << 2 for edit in town.emulator.find_requests("update_original_webhook_message")
    )  # no previews


async def test_where_no_thread_may_be_opened_a_conversation_goes_on_by_replies(town: Town) -> None:
    town.general.deny(town.emulator.bot, "create_public_threads")
    answer = await (
        await (await town.ana.use_command("chat", {"message": "What do foxes eat?"})).wait_for_message()
    ).wait_until(is_done)

    said = await town.ana.say("And in winter?", reply_to=answer)
    second = await last(town, town.general, 2)

    assert answer.thread is None
    assert second.reference is said
    assert "What do foxes eat?" in await prompted(town, second)


# By mention.


async def test_a_mention_begins_a_conversation_in_a_thread_of_its_own(town: Town) -> None:
    said = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)

    thread = await town.wait_until(lambda: said.thread)
    answer = await last(town, thread, 0)

    assert answer.content.startswith("A short answer.")
    assert thread.name == "what do foxes eat?"
    assert town.general.messages == [said]


async def test_a_mention_is_answered_as_the_setting_says(town: Town) -> None:
    await town.set("mention", "reply")
    said = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)
    answer = await last(town, town.general, 1)
    await town.ana.say("And in winter?", reply_to=answer)
    second = await last(town, town.general, 3)

    await town.set("mention", "off")
    await town.ana.say(f"{town.emulator.bot.mention} and in spring?", town.general)
    await (await town.ana.use_command("usage")).wait_for_private_message()

    assert answer.reference is said
    assert "what do foxes eat?" in await prompted(town, second)
    assert len(town.general.messages) == 5


async def test_a_mention_without_words_opens_no_thread(town: Town) -> None:
    said = await town.ana.say(town.emulator.bot.mention, town.general)
    told = await town.wait_until(lambda: town.general.messages[1:] and town.general.last_message)

    assert told.text == "You did not say anything. What would you like to know?"
    assert said.thread is None


async def test_where_mentions_are_not_answered_they_are_not_in_threads_either(town: Town) -> None:
    await town.set("mention", "off")
    thread = await town.ben.open_thread("foxes", on=await town.ben.say("Foxes are orange.", town.general))

    await town.ana.say(f"{town.emulator.bot.mention} is that true?", thread)
    await (await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()).wait_until(is_done)
    await town.wait_until_idle()

    assert len(town.backend.runs) == 1
    assert len(thread.messages) == 1


async def test_a_command_can_be_asked_for_by_mention(town: Town) -> None:
    said = await town.ana.say(f"{town.emulator.bot.mention} imagine a fox --count 2", town.general)

    picture = await last(town, town.general, 1)

    assert len(picture.pictures) == 2
    assert picture.reference is said
    assert said.thread is None


async def test_what_is_private_is_sent_directly_to_who_asked_by_mention(town: Town) -> None:
    await town.ana.say(f"{town.emulator.bot.mention} usage", town.general)
    told = await town.wait_until(lambda: town.ana.direct_channel.messages and town.ana.direct_channel.last_message)

    town.ben.block_bot()
    await town.ben.say(f"{town.emulator.bot.mention} usage", town.general)
    refused = await town.wait_until(lambda: town.general.messages[2:] and town.general.last_message)

    assert "credits left today" in told.text
    assert refused.text.startswith("I cannot write to you directly.")


async def test_a_mention_in_somebodys_thread_knows_what_was_said_there(town: Town) -> None:
    first = await town.ben.say("Foxes are orange.", town.general)
    thread = await town.ben.open_thread("foxes", on=first)
    await town.ben.say("And they sleep a lot.", thread)

    await town.ana.say(f"{town.emulator.bot.mention} is that true?", thread)
    answer = await last(town, thread, 2)

    assert "And they sleep a lot." in await prompted(town, answer)


async def test_a_reply_with_a_mention_brings_the_words_and_the_picture_it_replies_to(town: Town) -> None:
    words = await town.ben.say("Foxes are orange.", town.general)
    picture = await town.ben.say("", town.general, files=[DiscordFileUpload("hill.png", make_png())])

    said = await town.ana.say(f"{town.emulator.bot.mention} is that true?", reply_to=words)
    answer = await last(town, await town.wait_until(lambda: said.thread), 0)
    await town.ana.say(f"{town.emulator.bot.mention} caption", reply_to=picture)
    told = await last(town, town.general, 4)

    assert "Foxes are orange." in await prompted(town, answer)
    assert told.content.startswith("A short answer.")
    assert town.backend.last_run.model.task == "caption"


async def test_text_files_are_read_and_others_refused(town: Town) -> None:
    notes = DiscordFileUpload("notes.txt", b"Foxes are orange.")
    said = await town.ana.say(f"{town.emulator.bot.mention} sum this up", town.general, files=[notes])
    answer = await last(town, await town.wait_until(lambda: said.thread), 0)

    await town.ana.send_direct_message("and this?", files=[DiscordFileUpload("notes.zip", b"PK")])
    refused = await town.wait_until(
        lambda: town.ana.direct_channel.messages[1:] and town.ana.direct_channel.last_message
    )

    assert "Foxes are orange." in await prompted(town, answer)
    assert refused.text == "I cannot read notes.zip: I read pictures and text files."


async def test_talk_between_people_is_nobodys_business(town: Town) -> None:
    answer = await (await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()).wait_until(
        is_done
    )
    thread = await town.wait_until(lambda: answer.thread)

    await town.ben.say("Good morning", town.general)
    await town.ben.say(f"{town.ana.user.mention} shall we have lunch?", thread)
    await town.ben.say("@everyone lunch!", town.general)
    await (await town.ana.use_command("usage")).wait_for_private_message()

    assert len(town.backend.runs) == 1


async def test_a_remark_below_a_picture_is_for_people(town: Town) -> None:
    picture = await (await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()).wait_until(
        is_done
    )

    await town.ben.say("lovely!", reply_to=picture)
    await (await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()).wait_until(is_done)
    await town.wait_until_idle()

    assert len(town.backend.runs) == 2
    assert len(town.general.messages) == 3


async def test_only_the_starter_goes_on_where_the_setting_says_so(town: Town) -> None:
    await town.set("join", "starter")
    answer = await (await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()).wait_until(
        is_done
    )
    thread = await town.wait_until(lambda: answer.thread)

    await town.ben.say("me too", thread)
    await town.ben.say(f"{town.emulator.bot.mention} me too", thread)
    refused = await town.wait_until(lambda: thread.messages[2:] and thread.last_message)
    await town.ana.say("go on", thread)
    second = await last(town, thread, 4)

    assert refused.text.startswith("Only the person who began this conversation may go on with it.")
    assert second.content.startswith("A short answer.")


async def test_whoever_writes_pays_and_who_began_may_stop(town: Town) -> None:
    answer = await (await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()).wait_until(
        is_done
    )
    thread = await town.wait_until(lambda: answer.thread)
    town.backend.will(hangs_after=0)

    await town.ben.say("and now?", thread)
    running = await town.wait_until(lambda: thread.messages[1:] and thread.last_message)
    await running.wait_until(lambda one: "Stop" in one.button_labels)
    job = await town.app.jobs.get(await town.get_job_id(running))
    await town.ana.press(running, "Stop")
    await running.wait_until(is_done)

    assert job is not None
    assert job.user.id == str(town.ben.id)
    assert "⏹ Stopped." in running.text


# Directly, and what stays.


async def test_direct_messages_are_a_conversation_on_the_budget_of_a_server_that_both_are_in(town: Town) -> None:
    await town.ana.send_direct_message("what do foxes eat?")
    answer = await last(town, town.ana.direct_channel, 1)
    await town.ana.send_direct_message("and in winter?")
    second = await last(town, town.ana.direct_channel, 3)

    job = await town.app.jobs.get(await town.get_job_id(answer))

    assert job is not None
    assert job.user.workspace == str(town.guild.id)
    assert "what do foxes eat?" in await prompted(town, second)
    assert len(town.emulator.find_requests("get_guild_member")) == 1


async def test_a_stranger_who_writes_directly_spends_nothing(town: Town) -> None:
    stranger = town.emulator.add_guild("Strangers").add_member("Zed")

    await stranger.send_direct_message("hello")
    told = await town.wait_until(lambda: stranger.direct_channel.messages[1:] and stranger.direct_channel.last_message)

    assert told.text.startswith("We share no server where I may be used")


async def test_a_stranger_who_writes_on_is_not_looked_for_each_time(town: Town) -> None:
    stranger = town.emulator.add_guild("Strangers").add_member("Zed")

    for n in (1, 2, 3):
        await stranger.send_direct_message("hello")
        await have(town, stranger, 2 * n)

    assert len(town.emulator.find_requests("get_guild_member")) == 1


async def test_a_form_in_direct_messages_opens_in_time_whatever_must_be_looked_up(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await town.ana.send_direct_message("imagine a fox")
        picture = await last(town, town.ana.direct_channel, 1)
        places = [town.emulator.add_guild(f"Place {n}", guild_id=n + 1) for n in range(12)]
        await town.restart()
        await allow(town, *places)
        town.emulator.faults.delay("GET", "/guilds/*/members/*", 0.3, times=20)

        shown = await town.ana.press(picture, "Edit prompt")
        form = await shown.wait_for_modal()

    assert form.components
    assert shown.acknowledgement_seconds < 1.5


async def have(town: Town, person: DiscordPerson, messages: int) -> None:
    """Until so many messages stand between somebody and the bot."""
    await town.wait_until(lambda: len(person.direct_channel.messages) == messages)


async def allow(town: Town, *places: DiscordGuildState) -> None:
    """Let the bot be used there as well."""
    async with town.app.database.write() as tx:
        for place in places:
            await tx.people.allow_workspace(NAME, str(place.id), town.clock.now())


async def test_a_stranger_may_ask_what_is_kept_about_them(town: Town) -> None:
    stranger = town.emulator.add_guild("Strangers").add_member("Zed")

    told = await (
        await stranger.use_command("privacy export", channel=stranger.direct_channel)
    ).wait_for_private_message()

    assert told.attachments


async def test_conversations_outlive_restarts_and_archives(town: Town) -> None:
    answer = await (await (await town.ana.use_command("chat", {"message": "I am Ana."})).wait_for_message()).wait_until(
        is_done
    )
    thread = await town.wait_until(lambda: answer.thread)
    town.emulator.archive_thread(thread)
    await town.restart()

    await town.ana.say("Who am I?", thread)
    second = await last(town, thread, 1)

    assert "I am Ana." in await prompted(town, second)


async def test_without_the_message_content_intent_mentions_replies_and_direct_messages_work(tmp_path: Path) -> None:
    async with open_town(tmp_path, flags=0) as town:
        said = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)
        thread = await town.wait_until(lambda: said.thread)
        answer = await last(town, thread, 0)
        await town.ana.say("not heard", thread)
        await town.ana.say("And in winter?", reply_to=answer)
        second = await last(town, thread, 3)
        await town.ana.send_direct_message("hello")
        direct = await last(town, town.ana.direct_channel, 1)

        asked = await prompted(town, second)

    assert "And in winter?" in asked
    assert direct.content.startswith("A short answer.")


async def test_a_message_that_discord_tells_twice_is_answered_once(town: Town) -> None:
    said = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)
    thread = await town.wait_until(lambda: said.thread)
    await last(town, thread, 0)

    for session in town.emulator.gateway.connected_sessions:
        told = next(event for event in session.events if event["t"] == "MESSAGE_CREATE")
        session.dispatch("MESSAGE_CREATE", told["d"])
    await (await town.ana.use_command("usage")).wait_for_private_message()
    await town.wait_until_idle()

    assert len(town.backend.runs) == 1
    assert len(thread.messages) == 1


async def test_people_who_brought_the_bot_along_ask_where_it_was_not_invited(tmp_path: Path) -> None:
    async with open_town(tmp_path, allow_user_installs=True) as town:
        elsewhere = town.emulator.add_guild("Elsewhere", has_bot=False)
        cleo = elsewhere.add_member("Cleo")
        cleo.install_app()

        picture = await (await (await cleo.use_command("imagine", {"prompt": "a fox"})).wait_for_message()).wait_until(
            is_done
        )
        answer = await (await (await cleo.use_command("chat", {"message": "hello"})).wait_for_message()).wait_until(
            is_done
        )
        form = await (await cleo.press(answer, "Ask more")).wait_for_modal()
        second = await (await (await cleo.submit(form, {"Message": "and now?"})).wait_for_message()).wait_until(is_done)
        await cleo.press(picture, "Delete")
        await town.wait_until(lambda: picture.is_deleted)

        asked = await prompted(town, second)

    assert picture.pictures
    assert answer.thread is None
    assert "hello" in asked
    assert "and now?" in asked
