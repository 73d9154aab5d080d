"""Chats: by command, by mention, in direct messages and in threads, also after a restart."""

from functools import partial
from pathlib import Path

from bot.platforms.discord.channels import NAME
from tests.catalogue.samples import write_catalogue
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.posting import DiscordMessageDraft, create_message, delete_message
from tests.emulators.discord.state import DiscordChannelState, DiscordGuildState
from tests.fakes.backend import get_words, make_png
from tests.platforms.discord.dialogue import DiscordStaff, draw_picture, read_answer
from tests.platforms.discord.town import Town, finish, is_done, open_town


async def wait_for_answer(town: Town, place: DiscordChannelState, than: int) -> DiscordMessageState:
    """Wait until a channel has more than `than` messages, and return the last message once the job is done."""
    message: DiscordMessageState = await town.wait_until(lambda: len(place.messages) > than and place.last_message)
    return await message.wait_until(is_done)


async def read_prompt(town: Town, message: DiscordMessageState) -> str:
    """Return the words that reached the model of an answer."""
    job = await town.app.jobs.get(await town.get_job_id(message))
    assert job is not None
    return get_words(job.inputs)


# By command.


async def test_a_chat_command_continues_in_the_thread_on_its_answer(town: Town) -> None:
    interaction = await town.ana.use_command("chat", {"message": "What do foxes eat?"})
    answer = await finish(interaction)
    thread = await town.wait_until(lambda: answer.thread)

    await town.ana.say("And in winter?", thread)
    second = await wait_for_answer(town, thread, 1)

    assert answer.content.startswith("A short answer.")
    assert not answer.is_v2
    assert thread.name == "What do foxes eat?"
    assert "What do foxes eat?" in await read_prompt(town, second)
    assert "And in winter?" in await read_prompt(town, second)


async def test_text_streams_into_one_message(town: Town) -> None:
    town.backend.will(words=tuple(f"word{n} " for n in range(40)), hangs_after=20)
    message = await (await town.ana.use_command("chat", {"message": "Go on"})).wait_for_message()

    await message.wait_until(lambda one: "word19" in one.content)
    town.backend.last_run.released.set()
    await message.wait_until(is_done)

    assert "word39" in message.content
    assert len(town.general.messages) == 1
    assert town.emulator.redundant_edits == []


async def test_a_long_answer_spans_messages_with_balanced_code_fences(town: Town) -> None:
    lines = "".join(f"print({n:04})  # a line of code\n" for n in range(150))
    town.backend.will(words=("Here:\n", "```python\n", lines, "```\n", "That is all."))

    interaction = await town.ana.use_command("chat", {"message": "Write code"})
    await town.wait_until(lambda: any(is_done(message) for message in interaction.replies))

    assert len(interaction.replies) > 2
    assert all(message.content.count("```") % 2 == 0 for message in interaction.replies)
    assert all(len(message.content) <= 2000 for message in interaction.replies)
    assert "That is all." in interaction.replies[-1].content


async def test_regenerate_posts_a_second_answer_to_the_same_prompt(town: Town) -> None:
    answer = await finish(await town.ana.use_command("chat", {"message": "hello"}))

    other = await finish(await town.ana.press(answer, "Regenerate"))

    assert other.id != answer.id
    assert await read_prompt(town, other) == await read_prompt(town, answer)


async def test_a_stopped_answer_keeps_its_text_and_continues_by_a_button(town: Town) -> None:
    town.backend.will(words=("One ", "two ", "three"), hangs_after=2)
    message = await (await town.ana.use_command("chat", {"message": "Count"})).wait_for_message()
    await message.wait_until(lambda one: "two" in one.content)

    await town.ana.press(message, "Stop")
    await message.wait_until(is_done)
    town.backend.will(hangs_after=None, words=("three ", "four"))
    more = await finish(await town.ana.press(message, "Continue"))

    assert message.content.startswith("One two")
    assert "⏹ Stopped." in message.content
    assert more.content.startswith("three four")


async def test_a_broken_stream_keeps_its_text_and_names_the_reason(town: Town) -> None:
    town.backend.will(words=("One ", "two ", "three"), error="out of memory")

    message = await finish(await town.ana.use_command("chat", {"message": "Count"}))

    assert message.content.startswith("One two three")
    assert "⚠ The model failed: out of memory. You were not charged." in message.content
    assert {"Continue", "Try again"} <= set(message.button_labels)


async def test_model_text_notifies_no_user_and_hides_no_link(town: Town) -> None:
    text = f"@everyone {town.ben.user.mention} see [discord.com/login](https://evil.example/x) and `[a](https://b.c)`"
    town.backend.will(words=(text,))

    message = await finish(await town.ana.use_command("chat", {"message": "hi"}))

    assert all(not one.notified_users for one in town.general.history)
    assert "[discord.com/login] (https://evil.example/x)" in message.content
    assert "`[a](https://b.c)`" in message.content
    assert all(
        edit.body["flags"] & 1 << 2 for edit in town.emulator.find_requests("update_original_webhook_message")
    )  # no previews


async def test_without_the_permission_to_open_threads_a_conversation_continues_by_replies(town: Town) -> None:
    town.general.deny(town.emulator.bot, "create_public_threads")
    answer = await finish(await town.ana.use_command("chat", {"message": "What do foxes eat?"}))

    question = await town.ana.say("And in winter?", reply_to=answer)
    second = await wait_for_answer(town, town.general, 2)

    assert answer.thread is None
    assert second.reference is question
    assert "What do foxes eat?" in await read_prompt(town, second)


# By mention.


async def test_a_mention_opens_a_thread_for_its_conversation(town: Town) -> None:
    question = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)

    thread = await town.wait_until(lambda: question.thread)
    answer = await wait_for_answer(town, thread, 0)

    assert answer.content.startswith("A short answer.")
    assert thread.name == "what do foxes eat?"
    assert town.general.messages == [question]


async def test_the_mention_setting_chooses_replies_or_silence(town: Town) -> None:
    await town.set("mention", "reply")
    question = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)
    answer = await wait_for_answer(town, town.general, 1)
    await town.ana.say("And in winter?", reply_to=answer)
    second = await wait_for_answer(town, town.general, 3)

    await town.set("mention", "off")
    await town.ana.say(f"{town.emulator.bot.mention} and in spring?", town.general)
    await (await town.ana.use_command("usage")).wait_for_private_message()

    assert answer.reference is question
    assert "what do foxes eat?" in await read_prompt(town, second)
    assert len(town.general.messages) == 5


async def test_a_mention_without_text_opens_no_thread(town: Town) -> None:
    question = await town.ana.say(town.emulator.bot.mention, town.general)
    answer = await town.wait_until(lambda: town.general.messages[1:] and town.general.last_message)

    assert answer.text == "You did not say anything. What would you like to know?"
    assert question.thread is None


async def test_the_mention_setting_holds_in_threads(town: Town) -> None:
    await town.set("mention", "off")
    thread = await town.ben.open_thread("foxes", on=await town.ben.say("Foxes are orange.", town.general))

    await town.ana.say(f"{town.emulator.bot.mention} is that true?", thread)
    await finish(await town.ana.use_command("chat", {"message": "hello"}))
    await town.wait_until_idle()

    assert len(town.backend.runs) == 1
    assert len(thread.messages) == 1


async def test_a_mention_can_run_a_command(town: Town) -> None:
    question = await town.ana.say(f"{town.emulator.bot.mention} imagine a fox --count 2", town.general)

    picture = await wait_for_answer(town, town.general, 1)

    assert len(picture.pictures) == 2
    assert picture.reference is question
    assert question.thread is None


async def test_prose_is_talk_and_a_button_draws_instead(town: Town) -> None:
    question = await town.ana.say(f"{town.emulator.bot.mention} Imagine you are a pirate.", town.general)
    thread = await town.wait_until(lambda: question.thread)
    answer = await wait_for_answer(town, thread, 0)
    prompt = await read_prompt(town, answer)

    picture = await finish(await town.ben.press(answer, "Draw it instead"))

    assert answer.content.startswith("A short answer.")
    assert "Imagine you are a pirate." in prompt
    assert len(picture.pictures) == 1
    assert town.backend.last_run.inputs["prompt"] == "you are a pirate."


async def test_a_moderators_prose_changes_nothing(town: Town) -> None:
    moderator = DiscordStaff(town).mia
    words = "Words add meaning to a picture. Do you agree?"

    question = await moderator.say(f"{town.emulator.bot.mention} {words}", town.general)
    answer = await wait_for_answer(town, await town.wait_until(lambda: question.thread), 0)
    await moderator.send_direct_message("pause")
    await wait_for_answer(town, moderator.direct_channel, 1)

    assert words in await read_prompt(town, answer)
    assert await read_answer(moderator, "words list") == "No word is refused here. `/words add` adds one."


async def test_a_mention_added_by_an_edit_is_answered_once(town: Town) -> None:
    mention = town.emulator.bot.mention
    question = await town.ana.say("what do foxes eat?", town.general)
    await town.ana.edit(question, "what do foxes eat in winter?")

    await town.ana.edit(question, f"{mention} what do foxes eat in winter?")
    thread = await town.wait_until(lambda: question.thread)
    answer = await wait_for_answer(town, thread, 0)
    await town.ana.edit(question, f"{mention} what do badgers eat?")
    await town.ana.edit(question, "what do badgers eat?")
    await town.ana.edit(question, f"{mention} what do badgers eat?")
    await (await town.ana.use_command("usage")).wait_for_private_message()
    await town.wait_until_idle()

    assert "what do foxes eat in winter?" in await read_prompt(town, answer)
    assert len(town.backend.runs) == 1


async def test_an_edited_mention_is_not_answered_again_after_a_restart(town: Town) -> None:
    question = await town.ana.say(f"{town.emulator.bot.mention} usage", town.general)
    await town.wait_until(lambda: town.ana.direct_channel.messages)
    await town.restart()

    await town.ana.edit(question, f"{town.emulator.bot.mention} what do foxes eat?")
    await (await town.ana.use_command("usage")).wait_for_private_message()
    await town.wait_until_idle()

    assert town.backend.runs == {}
    assert len(town.ana.direct_channel.messages) == 1


async def test_private_answers_to_a_mention_go_to_direct_messages(town: Town) -> None:
    await town.ana.say(f"{town.emulator.bot.mention} usage", town.general)
    answer = await town.wait_until(lambda: town.ana.direct_channel.messages and town.ana.direct_channel.last_message)

    town.ben.block_bot()
    await town.ben.say(f"{town.emulator.bot.mention} usage", town.general)
    refusal = await town.wait_until(lambda: town.general.messages[2:] and town.general.last_message)

    assert "credits left today" in answer.text
    assert refusal.text.startswith("I cannot write to you directly.")


async def test_a_mention_in_a_thread_brings_the_messages_of_the_thread(town: Town) -> None:
    first = await town.ben.say("Foxes are orange.", town.general)
    thread = await town.ben.open_thread("foxes", on=first)
    await town.ben.say("And they sleep a lot.", thread)

    await town.ana.say(f"{town.emulator.bot.mention} is that true?", thread)
    answer = await wait_for_answer(town, thread, 2)

    assert "And they sleep a lot." in await read_prompt(town, answer)


async def test_pictures_of_a_thread_are_seen_from_the_first_question_on(town: Town) -> None:
    hill = DiscordFileUpload("hill.png", make_png(colour="red"))
    thread = await town.ben.open_thread("hills", on=await town.ben.say("", town.general, files=[hill]))
    await draw_picture(town.ana, channel=thread, prompt="a fox")

    await town.ana.say(f"{town.emulator.bot.mention} compare them", thread)
    await wait_for_answer(town, thread, 2)
    first = town.backend.last_run
    town.backend.will(picture=make_png(colour="blue"))
    await draw_picture(town.ana, channel=thread, prompt="a hen")
    await town.ben.say("and that?", thread)
    answer = await wait_for_answer(town, thread, 5)

    assert "Ben: (a picture without words)" in first.words
    assert len(first.pictures) == 2
    assert len(town.backend.last_run.pictures) == 3
    assert "Ben: and that?\n\n(The 3 pictures came earlier in this conversation.)" in await read_prompt(town, answer)


async def test_a_model_that_cannot_see_answers_below_the_description(town: Town) -> None:
    town.backend.will(words=("A red hill.",))
    upload = DiscordFileUpload("hill.png", make_png())
    options = {"message": "what is it?", "model": "llama-3-8b", "image": upload}

    described = await finish(await town.ana.use_command("chat", options))
    answer = await wait_for_answer(town, town.general, 1)
    thread = await town.wait_until(lambda: answer.thread)
    await town.ana.say("and its colour?", thread)
    second = await wait_for_answer(town, thread, 1)

    assert described.text.startswith("A red hill.")
    assert described.thread is None
    assert "GPT-5 nano described the pictures" in answer.text
    assert "without instructions for you: A red hill.)" in await read_prompt(town, second)


async def test_a_thread_names_its_people_and_begins_at_its_head(town: Town) -> None:
    thread = await town.ben.open_thread("foxes", on=await town.ben.say("Foxes are orange.", town.general))
    await town.ana.say("I like badgers.", thread)

    await town.ana.say(f"{town.emulator.bot.mention} who likes what?", thread)
    answer = await wait_for_answer(town, thread, 2)

    prompt = await read_prompt(town, answer)
    assert "Ben: Foxes are orange." in prompt
    assert "Ana: I like badgers." in prompt


async def test_ids_in_words_reach_the_model_and_the_thread_as_names(town: Town) -> None:
    role = town.guild.add_role("painters")
    random = town.guild.channels[1]
    tokens = f"<@{town.ben.id}> of <@&{role.id}> in <#{random.id}> says <:wave:123456789012345678> at <t:1392734382:R>"
    named = "@Ben of @painters in #random says :wave: at 18 February 2014, 14:39 UTC"

    question = await town.ana.say(f"{town.emulator.bot.mention} {tokens}", town.general)
    thread = await town.wait_until(lambda: question.thread)
    by_mention = await wait_for_answer(town, thread, 0)
    by_command = await finish(await town.ana.use_command("chat", {"message": tokens}))
    picture = await finish(await town.ana.use_command("imagine", {"prompt": f"<@{town.ben.id}> on a horse"}))
    unknown = await finish(await town.ana.use_command("chat", {"message": "<@99> in <#98> of <@&97>"}))

    assert named in await read_prompt(town, by_mention)
    assert named in await read_prompt(town, by_command)
    assert thread.name == named
    assert (await town.wait_until(lambda: by_command.thread)).name == named
    assert "@Ben on a horse" in str(picture.pictures[0].alt_text)
    assert "@somebody in #another-channel of @a role" in await read_prompt(town, unknown)


async def test_a_forwarded_message_is_the_question_in_direct_messages(town: Town) -> None:
    news = await town.ben.say(f"The fox {town.ana.user.mention} saw is called Rusty.", town.general)

    await town.ana.forward(news)
    answer = await wait_for_answer(town, town.ana.direct_channel, 1)

    assert "Forwarded: The fox @" in await read_prompt(town, answer)
    assert "saw is called Rusty." in await read_prompt(town, answer)


async def test_a_forwarded_command_is_no_command(town: Town) -> None:
    await town.ana.forward(await town.ben.say("imagine a fox --count 2", town.general))

    answer = await wait_for_answer(town, town.ana.direct_channel, 1)

    assert "Forwarded: imagine a fox --count 2" in await read_prompt(town, answer)


async def test_a_reply_to_a_forwarded_message_brings_its_words_and_picture(town: Town) -> None:
    hill = await town.ben.say("A hill.", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    forward = await town.ben.forward(hill, town.guild.channels[1])

    question = await town.ana.say(f"{town.emulator.bot.mention} where is that?", reply_to=forward)
    answer = await wait_for_answer(town, await town.wait_until(lambda: question.thread), 0)
    await town.ana.say(f"{town.emulator.bot.mention} caption", reply_to=forward)
    await wait_for_answer(town, town.guild.channels[1], 3)

    assert "Ben: Forwarded: A hill." in await read_prompt(town, answer)
    assert town.backend.last_run.model.task == "caption"


async def test_embeds_of_apps_are_read(town: Town) -> None:
    robot = town.emulator.state.add_user("Monitor", bot=True)
    embed = {
        "author": {"name": "Web shop"},
        "title": "Payments are down",
        "description": "Since 09:12",
        "fields": [{"name": "Region", "value": "eu-west"}, {"name": "Errors", "value": "97 %"}],
        "footer": {"text": "runbook 12"},
    }
    alert = create_message(town.emulator.state, town.general, robot, DiscordMessageDraft({"embeds": [embed]}, {}))

    question = await town.ana.say(f"{town.emulator.bot.mention} what is this?", reply_to=alert)
    answer = await wait_for_answer(town, await town.wait_until(lambda: question.thread), 0)
    thread = await town.ben.open_thread("alert", on=alert)
    await town.ben.say(f"{town.emulator.bot.mention} and this?", thread)
    second = await wait_for_answer(town, thread, 1)

    words = "Monitor: Web shop\nPayments are down\nSince 09:12\nRegion: eu-west\nErrors: 97 %\nrunbook 12"
    assert words in await read_prompt(town, answer)
    assert words in await read_prompt(town, second)


async def test_a_reply_with_a_mention_brings_the_text_and_picture_of_the_replied_message(town: Town) -> None:
    words = await town.ben.say("Foxes are orange.", town.general)
    picture = await town.ben.say("", town.general, files=[DiscordFileUpload("hill.png", make_png())])

    question = await town.ana.say(f"{town.emulator.bot.mention} is that true?", reply_to=words)
    answer = await wait_for_answer(town, await town.wait_until(lambda: question.thread), 0)
    await town.ana.say(f"{town.emulator.bot.mention} caption", reply_to=picture)
    reply = await wait_for_answer(town, town.general, 4)

    assert "Foxes are orange." in await read_prompt(town, answer)
    assert reply.content.startswith("A short answer.")
    assert town.backend.last_run.model.task == "caption"


async def test_a_wish_in_reply_to_a_deleted_picture_changes_no_other(town: Town) -> None:
    direct, mention = town.ana.direct_channel, town.emulator.bot.mention
    replies = []
    for place, words in ((town.general, f"{mention} make it winter"), (direct, "make it winter"), (direct, "undo")):
        picture = await draw_picture(town.ana, channel=place)
        delete_message(town.emulator.state, picture)
        said = await town.ana.say(words, reply_to=picture)
        replies.append(await town.wait_until(partial(get_answer, said)))

    refusal = "The message that you reply to is deleted. Send the picture or recording again."
    assert [reply.text for reply in replies] == [refusal] * 3
    assert len(town.backend.runs) == 3


def get_answer(said: DiscordMessageState) -> DiscordMessageState | None:
    return said.channel.last_message if said.channel.last_message is not said else None


async def test_a_reply_to_a_poll_brings_its_question_and_votes(town: Town) -> None:
    poll = await town.ben.ask_poll("Which fox?", {"red": 2, "arctic": 1}, town.general)

    question = await town.ana.say(f"{town.emulator.bot.mention} which wins?", reply_to=poll)

    answer = await wait_for_answer(town, await town.wait_until(lambda: question.thread), 0)
    assert "Poll: Which fox?\n- red (2)\n- arctic (1)" in await read_prompt(town, answer)


async def test_a_reply_brings_the_words_that_a_conversation_lacks(town: Town) -> None:
    question = await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    thread = await town.wait_until(lambda: question.thread)
    answer = await wait_for_answer(town, thread, 0)
    aside = await town.ben.say(f"{town.ana.user.mention} Rusty is a hen.", thread)
    caption = await finish(await town.ana.use_command("caption", {"image": make_png()}, channel=thread))

    prompts = []
    for n, replied_to in enumerate((aside, caption, answer)):
        await town.ana.say(f"{town.emulator.bot.mention} is that right?", reply_to=replied_to)
        prompts.append(await read_prompt(town, await wait_for_answer(town, thread, 4 + 2 * n)))

    assert "is that right?\n\nIn reply to Ben: @Ana Rusty is a hen." in prompts[0]
    assert "is that right?\n\nIn reply to Easel: A short answer." in prompts[1]
    assert "In reply" not in prompts[2].rpartition("is that right?")[2]


async def test_text_files_are_read_and_other_files_refused(town: Town) -> None:
    notes = DiscordFileUpload("notes.txt", b"Foxes are orange.")
    question = await town.ana.say(f"{town.emulator.bot.mention} sum this up", town.general, files=[notes])
    answer = await wait_for_answer(town, await town.wait_until(lambda: question.thread), 0)

    await town.ana.send_direct_message("and this?", files=[DiscordFileUpload("notes.zip", b"PK")])
    refusal = await town.wait_until(
        lambda: town.ana.direct_channel.messages[1:] and town.ana.direct_channel.last_message
    )

    assert "Foxes are orange." in await read_prompt(town, answer)
    assert refusal.text == "I cannot read notes.zip: I read pictures, PDFs and text files."


async def test_a_command_reads_files_beside_a_picture(town: Town) -> None:
    plan = DiscordFileUpload("plan.md", b"A fox in the plan.")
    script = DiscordFileUpload("run.py", b"print('hen')")
    options = {"message": "compare", "image": make_png(), "file": plan, "file2": script}
    answer = await finish(await town.ana.use_command("chat", options))

    archive = DiscordFileUpload("plan.zip", b"PK\3\4")
    refused = await town.ana.use_command("chat", {"message": "and this?", "file": archive})

    refusal = await refused.wait_for_private_message()
    prompt = await read_prompt(town, answer)
    assert "plan.md:\n```\nA fox in the plan.\n```" in prompt
    assert "run.py:\n```\nprint('hen')\n```" in prompt
    assert len(town.backend.last_run.pictures) == 1
    assert refusal.text == "I cannot read plan.zip: I read pictures, PDFs and text files."


async def test_a_long_cyrillic_file_reaches_the_model_with_its_instruction(tmp_path: Path) -> None:
    story = "Лиса бежит. " * 1_000
    words = "Name the three places in this text and nothing else."

    async with open_town(tmp_path, catalogue_path=write_catalogue(tmp_path, default="llama-3-8b")) as town:
        file = DiscordFileUpload("story.txt", story.encode())
        await town.ana.send_direct_message(words, files=[file])
        answer = await wait_for_answer(town, town.ana.direct_channel, 1)
        await town.ana.send_direct_message(words, files=[DiscordFileUpload("fox.txt", ("狐" * 8_000).encode())])
        refusal = await town.wait_until(
            lambda: town.ana.direct_channel.messages[3:] and town.ana.direct_channel.last_message
        )
        prompt = await read_prompt(town, answer)

    assert f"{words}\n\nstory.txt:\n```\n{story.strip()}" in prompt
    assert refusal.text.startswith("Your message is too long for Llama 3 8B: about 8,0")


async def test_a_long_conversation_is_summed_up_before_the_next_answer(tmp_path: Path) -> None:
    story = DiscordFileUpload("story.txt", b"A fox ran. " * 700)

    async with open_town(tmp_path, catalogue_path=write_catalogue(tmp_path, default="llama-3-8b")) as town:
        await town.set("summaries", True)
        await town.wait_until_ready()
        direct = town.ana.direct_channel
        for n in range(2):
            await town.ana.send_direct_message("read this", files=[story])
            await wait_for_answer(town, direct, 2 * n + 1)
        town.backend.answers = [("A summary.",), ("It ran.",)]
        await town.ana.send_direct_message("what did it do?")
        answer = await wait_for_answer(town, direct, 6)
        prompt = await read_prompt(town, answer)

    assert [message.content.split("\n")[0] for message in direct.messages[-2:]] == ["A summary.", "It ran."]
    assert "A summary." in prompt
    assert "A fox ran." not in prompt


async def test_messages_between_users_are_ignored(town: Town) -> None:
    answer = await finish(await town.ana.use_command("chat", {"message": "hello"}))
    thread = await town.wait_until(lambda: answer.thread)

    await town.ben.say("Good morning", town.general)
    await town.ben.say(f"{town.ana.user.mention} shall we have lunch?", thread)
    await town.ben.say("@everyone lunch!", town.general)
    await (await town.ana.use_command("usage")).wait_for_private_message()

    assert len(town.backend.runs) == 1


async def test_a_reply_to_a_picture_without_a_mention_is_ignored(town: Town) -> None:
    picture = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))

    await town.ben.say("lovely!", reply_to=picture)
    await finish(await town.ana.use_command("chat", {"message": "hello"}))
    await town.wait_until_idle()

    assert len(town.backend.runs) == 2
    assert len(town.general.messages) == 3


async def test_the_join_setting_reserves_a_conversation_for_its_starter(town: Town) -> None:
    await town.set("join", "starter")
    answer = await finish(await town.ana.use_command("chat", {"message": "hello"}))
    thread = await town.wait_until(lambda: answer.thread)

    await town.ben.say("me too", thread)
    await town.ben.say(f"{town.emulator.bot.mention} me too", thread)
    refusal = await town.wait_until(lambda: thread.messages[2:] and thread.last_message)
    await town.ana.say("go on", thread)
    second = await wait_for_answer(town, thread, 4)

    assert refusal.text.startswith("Only the person who began this conversation may go on with it.")
    assert second.content.startswith("A short answer.")


async def test_the_author_of_a_message_pays_and_the_starter_may_stop_the_answer(town: Town) -> None:
    answer = await finish(await town.ana.use_command("chat", {"message": "hello"}))
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


# In direct messages, and after restarts.


async def test_direct_messages_are_a_conversation_on_the_budget_of_the_shared_server(town: Town) -> None:
    await town.ana.send_direct_message("what do foxes eat?")
    answer = await wait_for_answer(town, town.ana.direct_channel, 1)
    await town.ana.send_direct_message("and in winter?")
    second = await wait_for_answer(town, town.ana.direct_channel, 3)

    job = await town.app.jobs.get(await town.get_job_id(answer))

    assert job is not None
    assert job.user.workspace == str(town.guild.id)
    assert "what do foxes eat?" in await read_prompt(town, second)
    assert len(town.emulator.find_requests("get_guild_member")) == 1


async def test_a_direct_message_without_a_shared_server_is_refused(town: Town) -> None:
    stranger = town.emulator.add_guild("Strangers").add_member("Zed")

    await stranger.send_direct_message("hello")
    answer = await town.wait_until(
        lambda: stranger.direct_channel.messages[1:] and stranger.direct_channel.last_message
    )

    assert answer.text.startswith("We share no server where I may be used")


async def test_the_search_for_a_shared_server_is_remembered(town: Town) -> None:
    stranger = town.emulator.add_guild("Strangers").add_member("Zed")

    for n in (1, 2, 3):
        await stranger.send_direct_message("hello")
        await wait_for_direct_messages(town, stranger, 2 * n)

    assert len(town.emulator.find_requests("get_guild_member")) == 1


async def test_a_form_in_direct_messages_opens_in_time_despite_slow_member_lookups(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await town.ana.send_direct_message("imagine: a fox")
        picture = await wait_for_answer(town, town.ana.direct_channel, 1)
        places = [town.emulator.add_guild(f"Place {n}", guild_id=n + 1) for n in range(12)]
        await town.restart()
        await allow_guilds(town, *places)
        town.emulator.faults.delay("GET", "/guilds/*/members/*", 0.3, times=20)

        press = await town.ana.press(picture, "Edit prompt")
        form = await press.wait_for_modal()

    assert form.components
    assert not press.is_late


async def wait_for_direct_messages(town: Town, person: DiscordPerson, messages: int) -> None:
    """Wait until the direct messages of a person and the bot have this number."""
    await town.wait_until(lambda: len(person.direct_channel.messages) == messages)


async def allow_guilds(town: Town, *places: DiscordGuildState) -> None:
    """Allow the bot in further servers."""
    async with town.app.database.write() as tx:
        for place in places:
            await tx.people.allow_workspace(NAME, str(place.id), town.clock.now())


async def test_a_user_without_a_shared_server_can_export_personal_data(town: Town) -> None:
    stranger = town.emulator.add_guild("Strangers").add_member("Zed")

    answer = await (
        await stranger.use_command("privacy export", channel=stranger.direct_channel)
    ).wait_for_private_message()

    assert answer.attachments


async def test_conversations_survive_a_restart_and_an_archived_thread(town: Town) -> None:
    answer = await finish(await town.ana.use_command("chat", {"message": "I am Ana."}))
    thread = await town.wait_until(lambda: answer.thread)
    town.emulator.archive_thread(thread)
    await town.restart()

    await town.ana.say("Who am I?", thread)
    second = await wait_for_answer(town, thread, 1)

    assert "I am Ana." in await read_prompt(town, second)


async def test_without_the_message_content_intent_mentions_replies_and_direct_messages_work(tmp_path: Path) -> None:
    async with open_town(tmp_path, flags=0) as town:
        question = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)
        thread = await town.wait_until(lambda: question.thread)
        answer = await wait_for_answer(town, thread, 0)
        await town.ana.say("not heard", thread)
        await town.ana.say("And in winter?", reply_to=answer)
        second = await wait_for_answer(town, thread, 3)
        await town.ana.send_direct_message("hello")
        direct = await wait_for_answer(town, town.ana.direct_channel, 1)

        prompt = await read_prompt(town, second)

    assert "And in winter?" in prompt
    assert direct.content.startswith("A short answer.")


async def test_a_repeated_message_event_is_answered_once(town: Town) -> None:
    question = await town.ana.say(f"{town.emulator.bot.mention} what do foxes eat?", town.general)
    thread = await town.wait_until(lambda: question.thread)
    await wait_for_answer(town, thread, 0)

    for session in town.emulator.gateway.connected_sessions:
        message_event = next(event for event in session.events if event["t"] == "MESSAGE_CREATE")
        session.dispatch("MESSAGE_CREATE", message_event["d"])
    await (await town.ana.use_command("usage")).wait_for_private_message()
    await town.wait_until_idle()

    assert len(town.backend.runs) == 1
    assert len(thread.messages) == 1


async def test_a_user_install_works_in_a_server_without_the_bot(tmp_path: Path) -> None:
    async with open_town(tmp_path, allow_user_installs=True) as town:
        elsewhere = town.emulator.add_guild("Elsewhere", has_bot=False)
        cleo = elsewhere.add_member("Cleo")
        cleo.install_app()

        picture = await finish(await cleo.use_command("imagine", {"prompt": "a fox"}))
        answer = await finish(await cleo.use_command("chat", {"message": "hello"}))
        form = await (await cleo.press(answer, "Ask more")).wait_for_modal()
        second = await finish(await cleo.submit(form, {"Message": "and now?"}))
        await cleo.press(picture, "Delete")
        await town.wait_until(lambda: picture.is_deleted)

        prompt = await read_prompt(town, second)

    assert picture.pictures
    assert answer.thread is None
    assert "hello" in prompt
    assert "and now?" in prompt
