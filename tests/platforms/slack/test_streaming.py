"""Streamed answers: Slack's streams, their two limits, repairs, and ordinary messages instead."""

import re
from decimal import Decimal

from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import Reply, Tone
from bot.platforms.slack.platform import SlackPlatform
from bot.platforms.slack.streams import FULL_AFTER_SECONDS
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.state import SlackThreadState
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_options

WORDS = tuple(f"word{n} " for n in range(60))


def create_words(count: int, size: int = 6) -> tuple[str, ...]:
    """Return `count` different words in paragraphs."""
    return tuple(f"{n:0{size}}{chr(10) * 2 if n % 40 == 39 else ' '}" for n in range(count))


def create_working_reply(text: str) -> Reply:
    return Reply(text, tone=Tone.WORKING)


async def ask_question(office: Office, text: str = "Tell me.") -> SlackThreadState:
    """Ask a question as Ana in #general and return the thread of the answer."""
    await office.ana.use_command("/chat", text, office.general)
    root = await office.general.wait_for_bot_message("asked:")
    return office.general.get_thread(root)


async def wait_for_answer(thread: SlackThreadState) -> SlackMessageState:
    """Wait for a complete answer and return its last message."""
    return await thread.wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels, timeout_seconds=15)


def join_answer(thread: SlackThreadState) -> str:
    """Return the text of all messages of an answer in order, without notes and buttons."""
    return "".join(read_text(message) for message in thread.bot_messages)


def read_text(message: SlackMessageState) -> str:
    if message.stream and not message.edited_at:
        return message.stream.text
    return "".join(str(block.get("text", "")) for block in message.blocks if block["type"] == "markdown")


async def test_the_question_is_posted_and_the_answer_streams_into_its_thread(any_office: Office) -> None:
    any_office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(any_office, "What is *up*, <you> & me?")
    growing = await thread.wait_for_bot_message("word20 ")
    assert growing.is_streaming

    any_office.backend.last_run.released.set()
    answer = await wait_for_answer(thread)

    root = any_office.general.messages[0]
    assert "*Ana* asked:\n>What is *up*, &lt;you&gt; &amp; me?" in root.visible_text
    assert answer is growing
    assert not answer.is_streaming
    assert join_answer(thread) == "".join(WORDS)
    assert answer.button_labels == ["Regenerate", "Delete"]
    assert "GPT-5 nano" in answer.visible_text


async def test_a_stream_names_its_recipient(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    await ask_question(office)

    call = await office.slack.wait_for_call("chat.startStream")
    office.backend.last_run.released.set()

    assert call.args["recipient_user_id"] == office.ana.id
    assert call.args["recipient_team_id"] == office.team.id


async def test_a_status_shows_until_the_first_word(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=0)
    thread = await ask_question(office)

    await office.clock.hurry_until(lambda: thread.status == "is thinking…")
    office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert thread.status == ""


async def test_a_short_answer_is_one_message_without_a_stream(office: Office) -> None:
    office.backend.will(words=("Yes.",))

    answer = await wait_for_answer(await ask_question(office))

    assert answer.visible_text.startswith("Yes.")
    assert office.slack.find_calls("chat.startStream") == []


async def test_a_long_answer_goes_on_in_further_messages_and_loses_nothing(office: Office) -> None:
    text = create_words(3_000)
    office.backend.will(words=text, hangs_after=1_500)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("001300 ", timeout_seconds=10)
    office.backend.last_run.released.set()

    await wait_for_answer(thread)

    assert len(thread.bot_messages) == 3
    assert join_answer(thread) == "".join(text)
    assert all(len(read_text(message).encode()) <= 9_000 for message in thread.bot_messages)
    assert all(not message.is_streaming for message in thread.bot_messages)
    assert [bool(message.button_labels) for message in thread.bot_messages] == [False, False, True]


async def test_code_that_goes_on_in_a_further_message_is_code_there_too(office: Office) -> None:
    code = tuple(f"print({n})\n" for n in range(2_000))
    office.backend.will(words=("Here:\n\n", "```python\n", *code, "```\n", "Done."), hangs_after=900)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("print(700)", timeout_seconds=10)
    office.backend.last_run.released.set()

    await wait_for_answer(thread)

    shown = [read_text(message) for message in thread.bot_messages]
    assert len(shown) > 1
    assert all(text.count("```") % 2 == 0 for text in shown)
    assert all(text.startswith("```python\n") for text in shown[1:] if "print" in text)
    printed = re.findall(r"print\((\d+)\)", "".join(shown))
    assert printed == [str(n) for n in range(2_000)]


async def test_a_stream_ends_before_slack_ends_it(office: Office) -> None:
    text = create_words(200)
    office.backend.will(words=text)
    office.backend.pauses = (100, 160)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("000090 ")

    office.advance_time(FULL_AFTER_SECONDS + 5)
    office.backend.resume()
    await office.slack.wait_for_call("chat.stopStream")
    office.advance_time(200)
    office.backend.resume()
    await wait_for_answer(thread)

    assert len(thread.bot_messages) == 2
    assert join_answer(thread) == "".join(text)


async def test_a_stream_ended_by_slack_is_repaired_by_an_edit(any_office: Office) -> None:
    any_office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(any_office)
    growing = await thread.wait_for_bot_message("word20 ")
    assert growing.stream is not None
    growing.stream.end_reason = "expired"

    any_office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert thread.bot_messages == [growing]
    assert join_answer(thread) == "".join(WORDS)
    assert "Delete" in growing.button_labels


async def test_a_stream_expired_unnoticed_keeps_every_word(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("word20 ")

    office.advance_time(400)
    office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert join_answer(thread) == "".join(WORDS)


async def test_an_append_without_a_response_shows_nothing_twice(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("word20 ")
    office.slack.faults.drop_connection("chat.stopStream", takes_effect=True)
    office.slack.faults.drop_connection("chat.appendStream", takes_effect=True)

    office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert join_answer(thread) == "".join(WORDS)


async def test_a_post_without_a_response_is_found_again(office: Office) -> None:
    office.slack.faults.drop_connection("chat.postMessage", takes_effect=True)

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    assert len(office.general.bot_messages) == 1


async def test_without_streams_the_answer_is_posted_and_edited(any_office: Office) -> None:
    any_office.slack.faults.respond("chat.startStream", "unknown_method", times=9)
    text = create_words(1_000)
    any_office.backend.will(words=text, hangs_after=400)
    thread = await ask_question(any_office)
    await thread.wait_for_bot_message("000300 ")

    any_office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert len(any_office.slack.find_calls("chat.startStream")) == 1
    assert join_answer(thread) == "".join(text)
    edited = [message for message in thread.bot_messages if message.edited_at]
    assert edited
    assert all(len(read_text(message).encode()) <= 3_500 for message in edited)


async def test_without_streams_a_message_with_a_stop_button_waits(office: Office) -> None:
    office.slack.faults.respond("chat.startStream", "unknown_method")
    office.backend.will(words=WORDS)
    await wait_for_answer(await ask_question(office))
    office.backend.will(words=WORDS, hangs_after=0)

    await office.ana.use_command("/chat", "again", office.general)
    running = await office.slack.changes.wait_for(
        lambda: next((m for m in office.general.bot_messages if m.thread_ts and "Stop" in m.button_labels), None),
        "a stop",
    )
    await office.ana.press(running, "Stop")

    await running.wait_for_text("Stopped")


async def test_slacks_own_stop_ends_the_answer(any_office: Office) -> None:
    any_office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(any_office)
    growing = await thread.wait_for_bot_message("word20 ")

    await any_office.ana.stop_stream(growing)

    answer = await wait_for_answer(thread)
    assert "Stopped" in answer.visible_text
    assert "word20 " in answer.visible_text
    assert any_office.backend.cancelled


async def test_the_stop_button_of_the_question_ends_the_answer_and_is_removed(any_office: Office) -> None:
    any_office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(any_office)
    await thread.wait_for_bot_message("word20 ")
    root = any_office.general.messages[0]

    await any_office.ana.press(root, "Stop")

    answer = await wait_for_answer(thread)
    assert "Stopped" in answer.visible_text
    await root.wait_until(lambda message: not message.button_labels, "no more Stop")


async def test_a_stop_reported_by_the_stream_alone_ends_the_answer(office: Office) -> None:
    office.backend.will(words=create_words(500))
    office.backend.pauses = (30, 60)
    thread = await ask_question(office)
    growing = await thread.wait_for_bot_message("000020 ")
    assert growing.stream is not None
    growing.stream.end_reason = "stopped_by_user"

    office.backend.resume()

    answer = await wait_for_answer(thread)
    assert "Stopped" in answer.visible_text
    assert office.backend.cancelled


async def test_a_cut_answer_explains_the_cut_and_offers_to_continue(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30, error="out of memory")
    thread = await ask_question(office)
    await thread.wait_for_bot_message("word20 ")

    office.backend.last_run.released.set()

    answer = await wait_for_answer(thread)
    assert "word59" in answer.visible_text
    assert "out of memory" in answer.visible_text
    assert answer.button_labels == ["Continue", "Try again", "Delete"]
    assert await office.balance(office.ana) == office.daily_micros


async def test_regenerate_answers_beside_the_first(office: Office) -> None:
    thread = await ask_question(office)
    answer = await wait_for_answer(thread)
    office.backend.will(words=("Another answer.",))

    await office.ana.press(answer, "Regenerate")

    await thread.wait_for_bot_message("Another answer.")


async def test_a_models_text_notifies_no_user(office: Office) -> None:
    hostile = (
        "Hi <",
        "!chan",
        "nel> and <",
        "@",
        office.otto.id,
        "> and <!here> ",
        "<!subteam^S123|team> <#",
        "C12345>.",
    )
    office.backend.will(words=hostile, hangs_after=5)
    thread = await ask_question(office)
    await office.slack.changes.wait_for(lambda: len(thread.bot_messages) == 1, "an answer")
    office.backend.last_run.released.set()

    answer = await wait_for_answer(thread)

    assert answer.mentions == []
    assert all("<!channel>" not in text for text in answer.text_history)
    assert "channel> and" in answer.visible_text


async def test_a_question_notifies_no_user(office: Office) -> None:
    thread = await ask_question(office, f"tell &lt;!channel&gt; and <@{office.otto.id}> something")

    await wait_for_answer(thread)

    assert office.general.messages[0].mentions == []


async def test_four_people_at_once_stay_within_the_tiers(open_office: OfficeOpener) -> None:
    office = await open_office(options=create_options(round_trip_seconds=0.02))
    people = [office.ana, office.otto, office.team.add_person("Mia"), office.team.add_person("Ben")]
    office.backend.will(words=create_words(1_200))
    for person in people:
        await person.use_command("/chat", f"{person.name} wants to know", office.general)

    await office.slack.changes.wait_for(
        lambda: sum("Delete" in message.button_labels for message in office.general.bot_messages) == 4,
        "four answers",
        20,
    )

    assert office.slack.rate_limited_calls == []


async def restart_mid_answer(office: Office) -> SlackThreadState:
    """Stop and restart the bot in the middle of an answer; return the answer's thread, with the model still waiting."""
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("word20 ")
    await office.app.runner.stop()
    await office.close()
    await office.open()
    return thread


async def test_a_restarted_bot_finishes_a_streaming_answer(office: Office) -> None:
    thread = await restart_mid_answer(office)

    office.backend.last_run.released.set()

    await wait_for_answer(thread)
    assert join_answer(thread) == "".join(WORDS)
    assert all(not message.is_streaming for message in thread.bot_messages)


async def test_a_question_that_cannot_be_paid_leaves_no_trace(open_office: OfficeOpener) -> None:
    office = await open_office(daily_credits=Decimal(0))

    await office.ana.use_command("/chat", "hello", office.general)

    await office.ana.wait_for_private_message("credits short")
    await office.slack.wait_for_call("chat.delete")
    assert office.general.messages == []


async def test_a_channel_without_streams_does_not_disable_other_channels(office: Office) -> None:
    office.slack.faults.respond("chat.startStream", "channel_type_not_supported")
    office.backend.will(words=create_words(100))
    office.backend.pauses = (50,)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("000040 ")
    office.backend.resume()
    await wait_for_answer(thread)

    office.backend.will(words=WORDS)
    other = await ask_question(office, "again")
    await office.slack.wait_for_call("chat.startStream", times=2)
    office.backend.resume()

    await wait_for_answer(
        office.general.get_thread(office.general.find_message(other.ts) or office.general.messages[-1])
    )
    assert len(office.slack.find_calls("chat.startStream")) == 2


async def test_a_restarted_run_replaces_its_text(office: Office) -> None:
    platform = office.app.platforms["slack"]
    root = await office.ana.say("hello", office.general)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    place = Channel("slack", office.team.id, office.general.id, root.ts)
    unposted = await platform.post(Destination(ana, place, "key", "job:0", is_streamed=True), create_working_reply(""))
    ref = await platform.edit(unposted, create_working_reply("The first try was "))
    assert ref is not None

    await platform.edit(ref, create_working_reply("Another one "))
    await platform.edit(ref, create_working_reply("Another one came "))
    await platform.edit(ref, Reply("Another one came instead.", tone=Tone.DONE))

    thread = office.general.get_thread(root)
    assert join_answer(thread) == "Another one came instead."
    assert len(thread.bot_messages) == 1


async def test_a_stop_without_a_response_is_followed_by_an_edit(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("word20 ")
    office.slack.faults.fail("chat.stopStream", status=500)

    office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert join_answer(thread) == "".join(WORDS)


async def test_the_last_words_do_not_wait_for_a_limited_stop(office: Office) -> None:
    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(office)
    growing = await thread.wait_for_bot_message("word20 ")
    platform.streams._web_api.rate_limits.get(office.team.id, "chat.stopStream").block(2)

    office.backend.last_run.released.set()
    await growing.wait_for_text("word59")

    assert growing.is_streaming
    office.clock.hurry(2)
    await wait_for_answer(thread)


async def test_an_answer_is_posted_while_starts_of_streams_are_limited(office: Office) -> None:
    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    platform.streams._web_api.rate_limits.get(office.team.id, "chat.startStream").block(60)
    office.backend.will(words=create_words(200), hangs_after=100)

    thread = await ask_question(office)
    await thread.wait_for_bot_message("000090 ")
    office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert office.slack.find_calls("chat.startStream") == []
    assert join_answer(thread) == "".join(create_words(200))


async def test_an_old_stop_button_reports_that_nothing_runs(office: Office) -> None:
    thread = await restart_mid_answer(office)
    office.backend.last_run.released.set()
    await wait_for_answer(thread)
    root = office.general.messages[0]
    assert root.button_labels == ["Stop"]

    await office.ana.press(root, "Stop")

    await office.ana.wait_for_private_message("Nothing is running")
    await root.wait_until(lambda message: not message.button_labels, "no more Stop")


async def test_a_link_shows_its_address(office: Office) -> None:
    office.backend.will(
        words=("See ", "<https://evil", ".example|https://bank.example> and <mailto:x@evil.example|me>.")
    )

    answer = await wait_for_answer(await ask_question(office))

    assert "<https://evil.example|" not in answer.visible_text
    assert "<mailto:x@evil.example|" not in answer.visible_text


async def test_slacks_stop_button_goes_with_a_repaired_answer(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(office)
    growing = await thread.wait_for_bot_message("word20 ")
    assert growing.stream is not None
    growing.stream.end_reason = "expired"
    office.backend.last_run.released.set()
    await wait_for_answer(thread)
    await office.slack.wait_until_idle()

    assert office.team.sessions[office.general.id, thread.ts]["status"] == "active"


async def test_slacks_stop_button_goes_after_a_press(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await ask_question(office)
    growing = await thread.wait_for_bot_message("word20 ")
    await office.ana.stop_stream(growing)
    await wait_for_answer(thread)
    await office.slack.wait_until_idle()

    assert office.team.sessions[office.general.id, thread.ts]["status"] == "active"


async def test_an_unreachable_thread_keeps_no_status(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=0)
    thread = await ask_question(office)
    await office.clock.hurry_until(lambda: thread.status == "is thinking…")
    office.general.remove_bot()
    office.backend.last_run.released.set()
    await office.wait_until_idle()

    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    assert platform.statuses._statuses == {}


async def test_a_long_answer_cut_by_a_crash_is_complete_afterwards(office: Office) -> None:
    text = create_words(800)
    office.backend.will(words=text, hangs_after=700)
    thread = await ask_question(office)
    await thread.wait_for_bot_message("000680 ")
    await office.app.runner.stop()
    await office.close()

    await office.open()
    office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert re.findall(r"\d{6}", join_answer(thread)) == [word.strip() for word in text]
