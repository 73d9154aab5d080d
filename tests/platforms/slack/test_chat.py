"""Chats: mentions, threads, direct messages, suggested prompts, and messages without an answer."""

import asyncio
from pathlib import Path

from tests.catalogue.samples import write_catalogue
from tests.emulators.slack.forms import SlackFileUpload
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.state import SlackThreadState
from tests.fakes.backend import make_png
from tests.media.pictures import make_recipe_picture
from tests.media.test_heif import make_heic
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.dialogue import SlackStaff, read_answer
from tests.platforms.slack.office import Office, create_office


async def mention_bot(office: Office, words: str = "what is a rainbow?") -> tuple[SlackMessageState, SlackThreadState]:
    """Mention the bot as Ana in #general; return the message and its thread."""
    message = await office.ana.say(f"{office.team.mention} {words}", office.general)
    return message, office.general.get_thread(message)


async def wait_for_answer(thread: SlackThreadState, after: SlackMessageState | None = None) -> SlackMessageState:
    return await thread.wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels, after=after)


def get_last_prompt(office: Office) -> str:
    return office.backend.last_run.words


async def test_a_mention_is_answered_in_its_thread(any_office: Office) -> None:
    message, thread = await mention_bot(any_office)

    answer = await wait_for_answer(thread)

    assert answer.thread_ts == message.ts
    assert "what is a rainbow?" in get_last_prompt(any_office)
    assert any_office.team.bot_user_id not in get_last_prompt(any_office)
    assert len(any_office.backend.runs) == 1


async def test_further_messages_in_the_thread_need_no_mention(any_office: Office) -> None:
    any_office.backend.will(words=("Light in drops.",))
    message, thread = await mention_bot(any_office)
    first = await wait_for_answer(thread)

    await any_office.otto.say("and why is it &lt;round&gt;?", thread=message)

    await wait_for_answer(thread, after=first)
    assert "and why is it <round>?" in get_last_prompt(any_office)
    assert "Light in drops." in get_last_prompt(any_office)


async def test_a_chat_by_command_goes_on_in_its_thread(office: Office) -> None:
    await office.ana.use_command("/chat", "what is a rainbow?", office.general)
    root = await office.general.wait_for_bot_message("asked:")
    first = await wait_for_answer(office.general.get_thread(root))

    await office.ana.say("and a fog bow?", thread=root)

    await wait_for_answer(office.general.get_thread(root), after=first)
    assert "what is a rainbow?" in get_last_prompt(office)


async def test_a_direct_message_is_answered_in_its_thread(any_office: Office) -> None:
    message = await any_office.ana.say("what is a rainbow?")
    thread = any_office.ana.direct_channel.get_thread(message)
    first = await wait_for_answer(thread)

    await any_office.ana.say("and why?", thread=message)

    await wait_for_answer(thread, after=first)
    assert "what is a rainbow?" in get_last_prompt(any_office)


async def test_each_direct_message_at_the_top_is_a_conversation_of_its_own(office: Office) -> None:
    await wait_for_answer(office.ana.direct_channel.get_thread(await office.ana.say("my name is Ana")))

    await wait_for_answer(office.ana.direct_channel.get_thread(await office.ana.say("what is my name?")))

    assert "my name is Ana" not in get_last_prompt(office)


async def test_a_command_by_mention_works_in_a_thread(any_office: Office) -> None:
    message = await any_office.ana.say("look at this", any_office.general)

    await any_office.ana.say(f"{any_office.team.mention} imagine a fox --seed 4", thread=message)

    picture = await any_office.general.get_thread(message).wait_for_bot_message("seed 4")
    assert len(picture.files) == 1


async def test_prose_is_talk_and_a_button_draws_instead(any_office: Office) -> None:
    _, thread = await mention_bot(any_office, "Imagine you are a pirate.")
    answer = await wait_for_answer(thread)
    prompt = get_last_prompt(any_office)

    await any_office.ana.press(answer, "Draw it instead")
    picture = await thread.wait_for_bot_message(condition=lambda one: one.files)

    assert "Imagine you are a pirate." in prompt
    assert "you are a pirate." in picture.alt_texts[0]


async def test_an_administrators_prose_changes_nothing(office: Office) -> None:
    words = "Words add meaning to a picture. Do you agree?"
    message = await office.otto.say(f"{office.team.mention} {words}", office.general)
    await wait_for_answer(office.general.get_thread(message))

    assert words in get_last_prompt(office)
    assert (
        await read_answer(office.otto, "/words list", office.general)
        == "No word is refused here. `/words add` adds one."
    )


async def test_a_wrong_option_by_mention_is_told_to_the_asker_alone(office: Office) -> None:
    await mention_bot(office, "imagine a fox --count 9")

    reply = await office.ana.wait_for_private_message("count must be from 1 to 4, not 9.")
    assert reply.thread_ts


async def test_help_in_the_direct_message_is_a_message(office: Office) -> None:
    message = await office.ana.say("help")

    await office.ana.direct_channel.get_thread(message).wait_for_bot_message("/imagine")


async def test_a_thread_is_read_if_the_bot_joins_late(any_office: Office) -> None:
    root = await any_office.ana.say("The ship is called Argo.", any_office.general)
    await any_office.otto.say("It sails at nine.", thread=root)

    await any_office.ana.say(f"{any_office.team.mention} when does it sail?", thread=root)

    await wait_for_answer(any_office.general.get_thread(root))
    prompt = get_last_prompt(any_office)
    assert "Ana: The ship is called Argo." in prompt
    assert "Otto: It sails at nine." in prompt
    assert len(any_office.slack.find_calls("conversations.replies")) == 1


async def test_history_is_read_from_slack_once(office: Office) -> None:
    root = await office.ana.say("The ship is called Argo.", office.general)
    await office.ana.say(f"{office.team.mention} what is it called?", thread=root)
    first = await wait_for_answer(office.general.get_thread(root))

    await office.ana.say("and again?", thread=root)
    await wait_for_answer(office.general.get_thread(root), after=first)

    assert "The ship is called Argo." in get_last_prompt(office)
    assert len(office.slack.find_calls("conversations.replies")) == 1


async def test_messages_between_people_get_no_answer(office: Office) -> None:
    message, thread = await mention_bot(office)
    await wait_for_answer(thread)
    runs = len(office.backend.runs)

    await office.otto.say("nobody asked you", office.general)
    await office.otto.say(f"{office.ana.mention} lunch?", thread=message)
    other = await office.otto.say("another thread", office.general)
    await office.ana.say("with words", thread=other)
    await office.slack.wait_until_idle()

    assert len(office.backend.runs) == runs


async def test_mentions_of_people_reach_the_model_as_names(office: Office) -> None:
    _, thread = await mention_bot(office, f"write a poem for {office.otto.mention}")

    await wait_for_answer(thread)

    assert "a poem for @Otto" in get_last_prompt(office)


async def test_groups_channels_and_dates_reach_the_model_as_words(any_office: Office) -> None:
    staff = SlackStaff(any_office)
    date = "<!date^1392734382^{date_num}|18 February 2014>"
    words = f"tell <!subteam^{staff.designers.id}> in <#{staff.studio.id}> and <#{staff.studio.id}|> about {date}"

    _, thread = await mention_bot(any_office, words)

    await wait_for_answer(thread)
    assert "tell @designers in #studio and #studio about 18 February 2014" in get_last_prompt(any_office)


async def test_an_unknown_mention_shows_no_id(office: Office) -> None:
    secret = office.team.add_channel("secret", is_private=True, has_bot=False)

    _, thread = await mention_bot(office, f"what do <@U0NOBODY1> and <!subteam^S0NONE> do in <#{secret.id}>?")

    await wait_for_answer(thread)
    assert "what do @somebody and @a group do in #another-channel?" in get_last_prompt(office)


async def test_a_prompt_names_people(office: Office) -> None:
    message = await office.ana.say(
        f"{office.team.mention} imagine {office.otto.mention} on a horse --seed 4", office.general
    )

    picture = await office.general.get_thread(message).wait_for_bot_message("seed 4")

    assert "@Otto on a horse" in picture.alt_texts[0]


async def test_links_arrive_as_typed_in_chats_and_prompts(any_office: Office) -> None:
    links = "mail <mailto:a@b.com|a@b.com>, call <tel:5551234567|555-123-4567>, see <http://example.com|example.com>"
    typed = "mail a@b.com, call 555-123-4567, see example.com"
    root, thread = await mention_bot(any_office, links)
    await wait_for_answer(thread)
    chat_prompt = get_last_prompt(any_office)

    await any_office.ana.say(f"{any_office.team.mention} imagine {links} --seed 4", thread=root)
    picture = await thread.wait_for_bot_message("seed 4")
    await any_office.ana.use_command("/imagine", f"a door with the words {links}", any_office.general)
    second = await any_office.general.wait_for_bot_message(
        condition=lambda one: "Again" in one.button_labels, after=picture
    )

    assert typed in chat_prompt
    assert typed in picture.alt_texts[0]
    assert f"a door with the words {typed}" in second.alt_texts[0]


async def test_a_text_file_is_read(any_office: Office) -> None:
    message = await any_office.ana.say(
        f"{any_office.team.mention} what does it say?",
        any_office.general,
        files=[SlackFileUpload("notes.txt", b"the moon is new")],
    )

    await wait_for_answer(any_office.general.get_thread(message))

    assert "the moon is new" in get_last_prompt(any_office)


async def test_a_long_cyrillic_file_reaches_the_model_with_its_instruction(tmp_path: Path) -> None:
    story = "Лиса бежит. " * 1_000
    words = "Name the three places in this text and nothing else."
    office = await create_office(tmp_path, catalogue_path=write_catalogue(tmp_path, default="llama-3-8b"))

    await office.open()
    try:
        message = await office.ana.say(words, files=[SlackFileUpload("story.txt", story.encode())])
        await wait_for_answer(office.ana.direct_channel.get_thread(message))
        await office.ana.say(words, files=[SlackFileUpload("fox.txt", ("狐" * 8_000).encode())])
        await office.ana.direct_channel.wait_for_bot_message("Your message is too long for Llama 3 8B: about 8,0")
    finally:
        await office.close()

    assert f"{words}\n\nstory.txt:\n```\n{story.strip()}" in get_last_prompt(office)


async def test_a_picture_reaches_the_model(office: Office) -> None:
    office.backend.will(words=("Teal.",))
    message = await office.ana.say(f"{office.team.mention} caption", office.general, files=[make_png()])

    await office.general.get_thread(message).wait_for_bot_message("Teal.")

    assert office.backend.last_run.picture.startswith("data:image/")


async def test_a_file_that_cannot_be_read_is_named(office: Office) -> None:
    await office.ana.say(
        f"{office.team.mention} what is it?", office.general, files=[SlackFileUpload("plan.pdf", b"%PDF-1.7")]
    )

    # A process of its own reads the file, which takes long to start on a busy machine.
    await office.ana.wait_for_private_message("plan.pdf could not be read as a PDF.", timeout_seconds=30)


async def test_the_form_of_a_chat_takes_files_and_a_picture(office: Office) -> None:
    await office.ana.use_command("/chat", "", office.general)
    form = await office.ana.wait_for_modal("Chat")
    plan, rows = SlackFileUpload("plan.md", b"A fox in the plan."), SlackFileUpload("a.csv", b"hen,2")
    given = {"message": "compare", "image": SlackFileUpload("hill.png", make_png()), "file": [plan, rows]}
    await office.ana.submit(form, given)
    await wait_for_answer(office.general.get_thread(await office.general.wait_for_bot_message("asked:")))
    prompt, pictures = get_last_prompt(office), office.backend.last_run.pictures

    await office.ana.use_command("/chat", "", office.general)
    form = await office.ana.wait_for_modal("Chat")
    await office.ana.submit(form, {"message": "read", "file": SlackFileUpload("old.csv", b"\xff\xfe")})

    await office.ana.wait_for_private_message("old.csv is not written in UTF-8, so I cannot read it.")
    assert "plan.md:\n```\nA fox in the plan.\n```" in prompt
    assert "a.csv:\n```\nhen,2\n```" in prompt
    assert len(pictures) == 1


async def test_a_long_conversation_is_summed_up_before_the_next_answer(
    open_office: OfficeOpener, tmp_path: Path
) -> None:
    office = await open_office(catalogue_path=write_catalogue(tmp_path, default="llama-3-8b"))
    await read_answer(office.otto, "/settings chat --summaries on", office.general)
    message, thread = await mention_bot(office, "read this: " + "A fox ran. " * 700)
    answer = await wait_for_answer(thread)
    await office.ana.say("A hen ran. " * 700, thread=message)
    answer = await wait_for_answer(thread, after=answer)
    office.backend.answers = [("A summary.",), ("It ran.",)]

    await office.ana.say("what did it do?", thread=message)

    summary = await thread.wait_for_bot_message("A summary.", after=answer)
    await thread.wait_for_bot_message("It ran.", after=summary, condition=lambda one: "Delete" in one.button_labels)
    assert "A summary." in get_last_prompt(office)
    assert "A fox ran." not in get_last_prompt(office)


async def test_a_phones_picture_and_one_without_a_name_ending_are_read(office: Office) -> None:
    for name, content in (("IMG_1.HEIC", make_heic()), ("picture", make_png())):
        message = await office.ana.say("caption", files=[SlackFileUpload(name, content)])
        await wait_for_answer(office.ana.direct_channel.get_thread(message))

    pictures = [run.picture.partition(";")[0] for run in office.backend.runs.values()]
    assert pictures == ["data:image/jpeg", "data:image/png"]


async def test_a_picture_alone_with_a_recipe_is_drawn_again_by_a_button(office: Office) -> None:
    picture = make_recipe_picture("Seed: 5, Model: flux-schnell")
    asked = await office.ana.say("", files=[SlackFileUpload("fox.png", picture)])
    thread = office.ana.direct_channel.get_thread(asked)
    shown = await thread.wait_for_bot_message("a fox in the snow")

    await office.ana.press(shown, "Again · FLUX schnell, 3 credits")

    await thread.wait_for_bot_message("seed 5", after=shown, condition=lambda one: one.files)
    assert office.backend.last_run.inputs["seed"] == 5


async def test_a_file_that_is_no_picture_is_named(office: Office) -> None:
    await office.ana.say("caption", files=[SlackFileUpload("plan.pdf", b"%PDF-1.7 a plan")])

    await office.ana.direct_channel.wait_for_bot_message("That is a PDF, not a picture I can read")


async def test_a_stop_word_in_a_thread_stops_the_answer(office: Office) -> None:
    office.backend.will(words=tuple(f"word{n} " for n in range(60)), hangs_after=30)
    message, thread = await mention_bot(office)
    await thread.wait_for_bot_message("word20 ")

    await office.ana.say("stop", thread=message)

    answer = await wait_for_answer(thread)
    assert "Stopped" in answer.visible_text


async def test_the_messages_tab_suggests_prompts(any_office: Office) -> None:
    await any_office.ana.open_app_home()

    await any_office.slack.wait_for_call("assistant.threads.setSuggestedPrompts")
    assert len(any_office.team.suggested_prompts) == 4


async def test_other_apps_are_not_answered(office: Office) -> None:
    message, thread = await mention_bot(office)
    await wait_for_answer(thread)
    runs = len(office.backend.runs)
    robot = SlackMessageState(
        office.general, office.slack.clock.next_timestamp(), "U0OTHER", "beep", thread_ts=message.ts, bot_id="B0OTHER"
    )

    office.general.add_message(robot)
    office.slack.event_sender.send_message_posted(robot)
    await office.slack.wait_until_idle()

    assert len(office.backend.runs) == runs


async def test_an_edited_message_is_not_answered_again(office: Office) -> None:
    message, thread = await mention_bot(office)
    await wait_for_answer(thread)

    await office.ana.edit(message, f"{office.team.mention} what is a rainbow???")
    await office.slack.wait_until_idle()

    assert len(office.backend.runs) == 1


async def test_a_mention_added_by_an_edit_is_answered_once(any_office: Office) -> None:
    message = await any_office.ana.say("what is a rainbow?", any_office.general)
    await any_office.slack.wait_until_idle()

    await any_office.ana.edit(message, f"{any_office.team.mention} what is a rainbow?")
    await wait_for_answer(any_office.general.get_thread(message))
    await any_office.ana.edit(message, f"{any_office.team.mention} what is a fog bow?")
    await any_office.ana.edit(message, "what is a fog bow?")
    await any_office.ana.edit(message, f"{any_office.team.mention} what is a fog bow?")
    await any_office.slack.wait_until_idle()

    assert "what is a rainbow?" in get_last_prompt(any_office)
    assert len(any_office.backend.runs) == 1


async def test_an_answered_mention_that_is_edited_after_a_restart_is_not_answered_again(office: Office) -> None:
    message, thread = await mention_bot(office)
    await wait_for_answer(thread)
    await office.close()
    await office.open()

    await office.ana.edit(message, f"{office.team.mention} what is a fog bow?")
    await office.slack.wait_until_idle()
    await office.wait_until_idle()

    assert len(office.backend.runs) == 1


async def test_a_mention_added_to_an_answered_message_of_a_thread_is_not_answered_again(office: Office) -> None:
    message, thread = await mention_bot(office)
    first = await wait_for_answer(thread)
    question = await office.ana.say("and why?", thread=message)
    await wait_for_answer(thread, after=first)

    await office.ana.edit(question, f"{office.team.mention} and why?")
    await office.slack.wait_until_idle()

    assert len(office.backend.runs) == 2


async def test_an_edit_in_direct_messages_is_not_answered_again(office: Office) -> None:
    message = await office.ana.say("what is a rainbow?")
    await wait_for_answer(office.ana.direct_channel.get_thread(message))

    await office.ana.edit(message, f"{office.team.mention} what is a rainbow?")
    await office.slack.wait_until_idle()

    assert len(office.backend.runs) == 1


async def test_a_repeated_event_is_answered_once(any_office: Office) -> None:
    _, thread = await mention_bot(any_office)
    await wait_for_answer(thread)

    for delivery in list(any_office.slack.delivery_service.deliveries):
        if delivery.payload.get("event", {}).get("type") in ("app_mention", "message"):
            delivery.resend()
    await any_office.slack.wait_until_idle()

    assert len(any_office.backend.runs) == 1
    assert len(thread.bot_messages) == 1


async def test_a_workspace_may_turn_mentions_off(office: Office) -> None:
    await office.otto.use_command("/settings", "chat --mention off", office.general)
    await office.otto.wait_for_private_message()
    office.advance_time(2)

    await mention_bot(office)
    await office.slack.wait_until_idle()

    assert office.backend.runs == {}


async def test_the_join_setting_reserves_a_conversation_for_its_starter(office: Office) -> None:
    await office.otto.use_command("/settings", "chat --join starter", office.general)
    shown = await office.otto.wait_for_private_message()
    office.advance_time(2)
    message, thread = await mention_bot(office)
    answer = await wait_for_answer(thread)

    await office.otto.say("me too", thread=message)
    await office.otto.say(f"{office.team.mention} me too", thread=message)
    refusal = await office.otto.wait_for_private_message("Only the person who began", after=shown)
    await office.otto.press(answer, "Regenerate")
    await office.otto.wait_for_private_message("Only the person who began", after=refusal)
    assert len(office.backend.runs) == 1
    await office.ana.say("go on", thread=message)
    await wait_for_answer(thread, after=answer)

    assert "who began it" in shown.text
    assert len(office.backend.runs) == 2


async def test_earlier_answers_of_the_bot_are_part_of_the_conversation(office: Office) -> None:
    root = await office.ana.say("look at this", office.general)
    await office.ana.say(f"{office.team.mention} imagine: a fox", thread=root)
    thread = office.general.get_thread(root)
    picture = await thread.wait_for_bot_message(condition=lambda one: one.files)

    await office.ana.say(f"{office.team.mention} what did you draw?", thread=root)

    await wait_for_answer(thread, after=picture)
    assert "a fox (drawn by FLUX schnell)" in get_last_prompt(office)


async def test_a_long_thread_is_read_to_its_end(office: Office) -> None:
    root = await office.ana.say("It begins.", office.general)
    for n in range(230):
        message = SlackMessageState(
            office.general, office.slack.clock.next_timestamp(), office.otto.id, f"line {n}", thread_ts=root.ts
        )
        office.general.add_message(message)

    await office.ana.say(f"{office.team.mention} and?", thread=root)

    await wait_for_answer(office.general.get_thread(root))
    assert "line 229" in get_last_prompt(office)


async def test_a_reply_also_sent_to_the_channel_is_answered(office: Office) -> None:
    message = await office.ana.say(f"{office.team.mention} what is a rainbow?", office.general)
    thread = office.general.get_thread(message)
    first = await wait_for_answer(thread)
    event = {"type": "message", "subtype": "thread_broadcast", "user": office.ana.id, "text": "and why?"}
    event |= {"ts": office.slack.clock.next_timestamp(), "thread_ts": message.ts, "channel": office.general.id}
    event |= {"channel_type": "channel"}

    office.slack.event_sender.send(office.team, event, subscription="message.channels")

    await wait_for_answer(thread, after=first)


async def test_a_message_delivered_as_mention_and_as_message_is_answered_once(office: Office) -> None:
    ts = office.slack.clock.next_timestamp()
    base = {
        "user": office.ana.id,
        "text": f"{office.team.mention} help",
        "ts": ts,
        "channel": office.ana.direct_channel.id,
    }
    message = await office.ana.say("hi")
    await wait_for_answer(office.ana.direct_channel.get_thread(message))
    base["thread_ts"] = message.ts
    office.slack.event_sender.send(office.team, {"type": "app_mention", **base})
    office.slack.event_sender.send(
        office.team, {"type": "message", "channel_type": "im", **base}, subscription="message.im"
    )
    await office.slack.wait_until_idle()
    await office.ana.direct_channel.wait_for_bot_message("/imagine")
    await asyncio.sleep(0.3)
    assert len([one for one in office.ana.direct_channel.bot_messages if "/imagine" in one.visible_text]) == 1
