"""Talk: mentions, threads, direct messages, the agent's own place, and what the bot leaves alone."""

import asyncio

from tests.emulators.slack.forms import SlackFileUpload
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.state import SlackThreadState
from tests.fakes.backend import make_png
from tests.platforms.slack.office import Office


async def mentioned(office: Office, words: str = "what is a rainbow?") -> tuple[SlackMessageState, SlackThreadState]:
    """Ana's mention in general, and the thread under it."""
    said = await office.ana.say(f"{office.team.mention} {words}", office.general)
    return said, office.general.get_thread(said)


async def answered(thread: SlackThreadState, after: SlackMessageState | None = None) -> SlackMessageState:
    return await thread.wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels, after=after)


def prompt(office: Office) -> str:
    return str(office.backend.last_run.inputs["prompt"])


async def test_a_mention_is_answered_in_its_thread(either: Office) -> None:
    said, thread = await mentioned(either)

    answer = await answered(thread)

    assert answer.thread_ts == said.ts
    assert "what is a rainbow?" in prompt(either)
    assert either.team.bot_user_id not in prompt(either)
    assert len(either.backend.runs) == 1


async def test_the_next_words_in_the_thread_need_no_mention(either: Office) -> None:
    either.backend.will(words=("Light in drops.",))
    said, thread = await mentioned(either)
    first = await answered(thread)

    await either.otto.say("and why is it &lt;round&gt;?", thread=said)

    await answered(thread, after=first)
    assert "and why is it <round>?" in prompt(either)
    assert "Light in drops." in prompt(either)


async def test_a_chat_by_command_goes_on_in_its_thread(office: Office) -> None:
    await office.ana.use_command("/chat", "what is a rainbow?", office.general)
    root = await office.general.wait_for_bot_message("asked:")
    first = await answered(office.general.get_thread(root))

    await office.ana.say("and a fog bow?", thread=root)

    await answered(office.general.get_thread(root), after=first)
    assert "what is a rainbow?" in prompt(office)


async def test_a_direct_message_is_answered_in_its_thread(either: Office) -> None:
    said = await either.ana.say("what is a rainbow?")
    thread = either.ana.direct_channel.get_thread(said)
    first = await answered(thread)

    await either.ana.say("and why?", thread=said)

    await answered(thread, after=first)
    assert "what is a rainbow?" in prompt(either)


async def test_each_direct_message_at_the_top_is_a_conversation_of_its_own(office: Office) -> None:
    await answered(office.ana.direct_channel.get_thread(await office.ana.say("my name is Ana")))

    await answered(office.ana.direct_channel.get_thread(await office.ana.say("what is my name?")))

    assert "my name is Ana" not in prompt(office)


async def test_a_command_by_mention_works_in_a_thread(either: Office) -> None:
    said = await either.ana.say("look at this", either.general)

    await either.ana.say(f"{either.team.mention} imagine a fox --seed 4", thread=said)

    picture = await either.general.get_thread(said).wait_for_bot_message("seed 4")
    assert len(picture.files) == 1


async def test_a_wrong_option_by_mention_is_told_to_the_asker_alone(office: Office) -> None:
    await mentioned(office, "imagine a fox --count 9")

    told = await office.ana.wait_for_private_message("count must be from 1 to 4, not 9.")
    assert told.thread_ts


async def test_help_in_the_direct_message_is_a_message(office: Office) -> None:
    said = await office.ana.say("help")

    await office.ana.direct_channel.get_thread(said).wait_for_bot_message("/imagine")


async def test_a_thread_is_read_when_the_bot_joins_half_way(either: Office) -> None:
    root = await either.ana.say("The ship is called Argo.", either.general)
    await either.otto.say("It sails at nine.", thread=root)

    await either.ana.say(f"{either.team.mention} when does it sail?", thread=root)

    await answered(either.general.get_thread(root))
    asked = prompt(either)
    assert "Ana: The ship is called Argo." in asked
    assert "Otto: It sails at nine." in asked
    assert len(either.slack.find_calls("conversations.replies")) == 1


async def test_history_is_read_from_slack_once(office: Office) -> None:
    root = await office.ana.say("The ship is called Argo.", office.general)
    await office.ana.say(f"{office.team.mention} what is it called?", thread=root)
    first = await answered(office.general.get_thread(root))

    await office.ana.say("and again?", thread=root)
    await answered(office.general.get_thread(root), after=first)

    assert "The ship is called Argo." in prompt(office)
    assert len(office.slack.find_calls("conversations.replies")) == 1


async def test_people_who_talk_among_themselves_are_left_alone(office: Office) -> None:
    said, thread = await mentioned(office)
    await answered(thread)
    runs = len(office.backend.runs)

    await office.otto.say("nobody asked you", office.general)
    await office.otto.say(f"{office.ana.mention} lunch?", thread=said)
    other = await office.otto.say("another thread", office.general)
    await office.ana.say("with words", thread=other)
    await office.slack.wait_until_idle()

    assert len(office.backend.runs) == runs


async def test_mentions_of_people_reach_the_model_as_names(office: Office) -> None:
    _, thread = await mentioned(office, f"write a poem for {office.otto.mention}")

    await answered(thread)

    assert "a poem for @Otto" in prompt(office)


async def test_a_text_file_is_read(either: Office) -> None:
    said = await either.ana.say(
        f"{either.team.mention} what does it say?",
        either.general,
        files=[SlackFileUpload("notes.txt", b"the moon is new")],
    )

    await answered(either.general.get_thread(said))

    assert "the moon is new" in prompt(either)


async def test_a_picture_is_looked_at(office: Office) -> None:
    office.backend.will(words=("Teal.",))
    said = await office.ana.say(f"{office.team.mention} caption", office.general, files=[make_png()])

    await office.general.get_thread(said).wait_for_bot_message("Teal.")

    assert str(office.backend.last_run.inputs["image"]).startswith("data:image/")


async def test_a_file_that_cannot_be_read_is_named(office: Office) -> None:
    await office.ana.say(
        f"{office.team.mention} what is it?", office.general, files=[SlackFileUpload("plan.pdf", b"%PDF-1.7")]
    )

    await office.ana.wait_for_private_message("I cannot read plan.pdf")


async def test_stop_said_in_a_thread_stops(office: Office) -> None:
    office.backend.will(words=tuple(f"word{n} " for n in range(60)), hangs_after=30)
    said, thread = await mentioned(office)
    await thread.wait_for_bot_message("word20 ")

    await office.ana.say("stop", thread=said)

    answer = await answered(thread)
    assert "Stopped" in answer.visible_text


async def test_the_agents_place_suggests_what_to_say(either: Office) -> None:
    await either.ana.open_app_home()

    await either.slack.wait_for_call("assistant.threads.setSuggestedPrompts")
    assert len(either.team.suggested_prompts) == 4


async def test_other_apps_are_not_answered(office: Office) -> None:
    said, thread = await mentioned(office)
    await answered(thread)
    runs = len(office.backend.runs)
    robot = SlackMessageState(
        office.general, office.slack.clock.next_timestamp(), "U0OTHER", "beep", thread_ts=said.ts, bot_id="B0OTHER"
    )

    office.general.add_message(robot)
    office.slack.event_sender.send_message_posted(robot)
    await office.slack.wait_until_idle()

    assert len(office.backend.runs) == runs


async def test_an_edited_message_is_not_answered_again(office: Office) -> None:
    said, thread = await mentioned(office)
    await answered(thread)

    await office.ana.edit(said, f"{office.team.mention} what is a rainbow???")
    await office.slack.wait_until_idle()

    assert len(office.backend.runs) == 1


async def test_an_event_that_comes_again_is_answered_once(either: Office) -> None:
    _, thread = await mentioned(either)
    await answered(thread)

    for delivery in list(either.slack.delivery_service.deliveries):
        if delivery.payload.get("event", {}).get("type") in ("app_mention", "message"):
            delivery.resend()
    await either.slack.wait_until_idle()

    assert len(either.backend.runs) == 1
    assert len(thread.bot_messages) == 1


async def test_a_workspace_may_turn_mentions_off(office: Office) -> None:
    await office.otto.use_command("/settings", "chat --mention off", office.general)
    await office.otto.wait_for_private_message()
    office.advance_time(2)

    await mentioned(office)
    await office.slack.wait_until_idle()

    assert office.backend.runs == {}


async def test_what_the_bot_showed_before_is_part_of_what_was_said(office: Office) -> None:
    root = await office.ana.say("look at this", office.general)
    await office.ana.say(f"{office.team.mention} imagine a fox", thread=root)
    thread = office.general.get_thread(root)
    picture = await thread.wait_for_bot_message(condition=lambda one: one.files)

    await office.ana.say(f"{office.team.mention} what did you draw?", thread=root)

    await answered(thread, after=picture)
    assert "a fox (drawn by FLUX schnell)" in prompt(office)


async def test_a_long_thread_is_read_to_its_end(office: Office) -> None:
    root = await office.ana.say("It begins.", office.general)
    for n in range(230):
        message = SlackMessageState(
            office.general, office.slack.clock.next_timestamp(), office.otto.id, f"line {n}", thread_ts=root.ts
        )
        office.general.add_message(message)

    await office.ana.say(f"{office.team.mention} and?", thread=root)

    await answered(office.general.get_thread(root))
    assert "line 229" in prompt(office)


async def test_a_reply_that_is_also_sent_to_the_channel_is_heard(office: Office) -> None:
    said = await office.ana.say(f"{office.team.mention} what is a rainbow?", office.general)
    thread = office.general.get_thread(said)
    first = await answered(thread)
    event = {"type": "message", "subtype": "thread_broadcast", "user": office.ana.id, "text": "and why?"}
    event |= {"ts": office.slack.clock.next_timestamp(), "thread_ts": said.ts, "channel": office.general.id}
    event |= {"channel_type": "channel"}

    office.slack.event_sender.send(office.team, event, subscription="message.channels")

    await answered(thread, after=first)


async def test_words_that_come_as_mention_and_as_message_are_answered_once(office: Office) -> None:
    ts = office.slack.clock.next_timestamp()
    base = {
        "user": office.ana.id,
        "text": f"{office.team.mention} help",
        "ts": ts,
        "channel": office.ana.direct_channel.id,
    }
    said = await office.ana.say("hi")
    await answered(office.ana.direct_channel.get_thread(said))
    base["thread_ts"] = said.ts
    office.slack.event_sender.send(office.team, {"type": "app_mention", **base})
    office.slack.event_sender.send(
        office.team, {"type": "message", "channel_type": "im", **base}, subscription="message.im"
    )
    await office.slack.wait_until_idle()
    await office.ana.direct_channel.wait_for_bot_message("/imagine")
    await asyncio.sleep(0.3)
    assert len([one for one in office.ana.direct_channel.bot_messages if "/imagine" in one.visible_text]) == 1
