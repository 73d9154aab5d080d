"""Answers that stream: Slack's own streams, their two limits, what mends them, and what takes their place."""

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


def words(count: int, size: int = 6) -> tuple[str, ...]:
    """A text of so many words in paragraphs, each word unlike the others."""
    return tuple(f"{n:0{size}}{chr(10) * 2 if n % 40 == 39 else ' '}" for n in range(count))


def working(text: str) -> Reply:
    return Reply(text, tone=Tone.WORKING)


async def asked(office: Office, text: str = "Tell me.") -> SlackThreadState:
    """Ana's question, in general: the thread that answers it."""
    await office.ana.use_command("/chat", text, office.general)
    root = await office.general.wait_for_bot_message("asked:")
    return office.general.get_thread(root)


async def answered(thread: SlackThreadState) -> SlackMessageState:
    """The last message of a whole answer."""
    return await thread.wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels, timeout_seconds=15)


def whole(thread: SlackThreadState) -> str:
    """All that the messages of an answer show, in order, without what stands under them."""
    return "".join(_text(message) for message in thread.bot_messages)


def _text(message: SlackMessageState) -> str:
    if message.stream and not message.edited_at:
        return message.stream.text
    return "".join(str(block.get("text", "")) for block in message.blocks if block["type"] == "markdown")


async def test_the_question_is_posted_and_the_answer_streams_into_its_thread(either: Office) -> None:
    either.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(either, "What is *up*, <you> & me?")
    growing = await thread.wait_for_bot_message("word20 ")
    assert growing.is_streaming

    either.backend.last_run.released.set()
    answer = await answered(thread)

    root = either.general.messages[0]
    assert "*Ana* asked:\n>What is *up*, &lt;you&gt; &amp; me?" in root.visible_text
    assert answer is growing
    assert not answer.is_streaming
    assert whole(thread) == "".join(WORDS)
    assert answer.button_labels == ["Regenerate", "Delete"]
    assert "Llama 3 8B" in answer.visible_text


async def test_a_stream_knows_whom_it_is_for(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    await asked(office)

    call = await office.slack.wait_for_call("chat.startStream")
    office.backend.last_run.released.set()

    assert call.args["recipient_user_id"] == office.ana.id
    assert call.args["recipient_team_id"] == office.team.id


async def test_a_status_shows_until_the_first_word(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=0)
    thread = await asked(office)

    await office.slack.changes.wait_for(lambda: thread.status == "is thinking…", "a status")
    office.backend.last_run.released.set()
    await answered(thread)

    assert thread.status == ""


async def test_a_short_answer_is_one_message_without_a_stream(office: Office) -> None:
    office.backend.will(words=("Yes.",))

    answer = await answered(await asked(office))

    assert answer.visible_text.startswith("Yes.")
    assert office.slack.find_calls("chat.startStream") == []


async def test_a_long_answer_goes_on_in_further_messages_and_loses_nothing(office: Office) -> None:
    text = words(3_000)
    office.backend.will(words=text, hangs_after=1_500)
    thread = await asked(office)
    await thread.wait_for_bot_message("001300 ", timeout_seconds=10)
    office.backend.last_run.released.set()

    await answered(thread)

    assert len(thread.bot_messages) == 3
    assert whole(thread) == "".join(text)
    assert all(len(_text(message).encode()) <= 9_000 for message in thread.bot_messages)
    assert all(not message.is_streaming for message in thread.bot_messages)
    assert [bool(message.button_labels) for message in thread.bot_messages] == [False, False, True]


async def test_code_that_goes_on_in_a_further_message_is_code_there_too(office: Office) -> None:
    code = tuple(f"print({n})\n" for n in range(2_000))
    office.backend.will(words=("Here:\n\n", "```python\n", *code, "```\n", "Done."), hangs_after=900)
    thread = await asked(office)
    await thread.wait_for_bot_message("print(700)", timeout_seconds=10)
    office.backend.last_run.released.set()

    await answered(thread)

    shown = [_text(message) for message in thread.bot_messages]
    assert len(shown) > 1
    assert all(text.count("```") % 2 == 0 for text in shown)
    assert all(text.startswith("```python\n") for text in shown[1:] if "print" in text)
    printed = re.findall(r"print\((\d+)\)", "".join(shown))
    assert printed == [str(n) for n in range(2_000)]


async def test_a_stream_ends_before_slack_ends_it(office: Office) -> None:
    text = words(200)
    office.backend.will(words=text)
    office.backend.pauses = (100, 160)
    thread = await asked(office)
    await thread.wait_for_bot_message("000090 ")

    office.advance_time(FULL_AFTER_SECONDS + 5)
    office.backend.resume()
    await office.slack.wait_for_call("chat.stopStream")
    office.advance_time(200)
    office.backend.resume()
    await answered(thread)

    assert len(thread.bot_messages) == 2
    assert whole(thread) == "".join(text)


async def test_a_stream_that_slack_ended_is_mended_by_an_edit(either: Office) -> None:
    either.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(either)
    growing = await thread.wait_for_bot_message("word20 ")
    assert growing.stream is not None
    growing.stream.end_reason = "expired"

    either.backend.last_run.released.set()
    await answered(thread)

    assert thread.bot_messages == [growing]
    assert whole(thread) == "".join(WORDS)
    assert "Delete" in growing.button_labels


async def test_a_stream_that_died_of_age_unseen_keeps_every_word(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    await thread.wait_for_bot_message("word20 ")

    office.advance_time(400)
    office.backend.last_run.released.set()
    await answered(thread)

    assert whole(thread) == "".join(WORDS)


async def test_an_append_whose_answer_was_lost_shows_nothing_twice(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    await thread.wait_for_bot_message("word20 ")
    office.slack.faults.drop_connection("chat.stopStream", takes_effect=True)
    office.slack.faults.drop_connection("chat.appendStream", takes_effect=True)

    office.backend.last_run.released.set()
    await answered(thread)

    assert whole(thread) == "".join(WORDS)


async def test_a_post_whose_answer_was_lost_is_found_again(office: Office) -> None:
    office.slack.faults.drop_connection("chat.postMessage", takes_effect=True)

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    assert len(office.general.bot_messages) == 1


async def test_without_streams_the_answer_is_posted_and_edited(either: Office) -> None:
    either.slack.faults.respond("chat.startStream", "unknown_method", times=9)
    text = words(1_000)
    either.backend.will(words=text, hangs_after=400)
    thread = await asked(either)
    await thread.wait_for_bot_message("000300 ")

    either.backend.last_run.released.set()
    await answered(thread)

    assert len(either.slack.find_calls("chat.startStream")) == 1
    assert whole(thread) == "".join(text)
    edited = [message for message in thread.bot_messages if message.edited_at]
    assert edited
    assert all(len(_text(message).encode()) <= 3_500 for message in edited)


async def test_where_streams_are_known_not_to_be_had_a_message_waits_with_a_stop(office: Office) -> None:
    office.slack.faults.respond("chat.startStream", "unknown_method")
    office.backend.will(words=WORDS)
    await answered(await asked(office))
    office.backend.will(words=WORDS, hangs_after=0)

    await office.ana.use_command("/chat", "again", office.general)
    working = await office.slack.changes.wait_for(
        lambda: next((m for m in office.general.bot_messages if m.thread_ts and "Stop" in m.button_labels), None),
        "a stop",
    )
    await office.ana.press(working, "Stop")

    await working.wait_for_text("Stopped")


async def test_slacks_own_stop_ends_the_answer(either: Office) -> None:
    either.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(either)
    growing = await thread.wait_for_bot_message("word20 ")

    await either.ana.stop_stream(growing)

    answer = await answered(thread)
    assert "Stopped" in answer.visible_text
    assert "word20 " in answer.visible_text
    assert either.backend.cancelled


async def test_the_stop_on_the_question_ends_the_answer_and_goes_with_it(either: Office) -> None:
    either.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(either)
    await thread.wait_for_bot_message("word20 ")
    root = either.general.messages[0]

    await either.ana.press(root, "Stop")

    answer = await answered(thread)
    assert "Stopped" in answer.visible_text
    await root.wait_until(lambda message: not message.button_labels, "no more Stop")


async def test_a_stop_that_only_the_stream_tells_of_ends_the_answer(office: Office) -> None:
    office.backend.will(words=words(500))
    office.backend.pauses = (30, 60)
    thread = await asked(office)
    growing = await thread.wait_for_bot_message("000020 ")
    assert growing.stream is not None
    growing.stream.end_reason = "stopped_by_user"

    office.backend.resume()

    answer = await answered(thread)
    assert "Stopped" in answer.visible_text
    assert office.backend.cancelled


async def test_a_cut_answer_says_why_and_offers_to_go_on(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30, error="out of memory")
    thread = await asked(office)
    await thread.wait_for_bot_message("word20 ")

    office.backend.last_run.released.set()

    answer = await answered(thread)
    assert "word59" in answer.visible_text
    assert "out of memory" in answer.visible_text
    assert answer.button_labels == ["Continue", "Try again", "Delete"]
    assert await office.balance(office.ana) == office.daily_micros


async def test_regenerate_answers_beside_the_first(office: Office) -> None:
    thread = await asked(office)
    answer = await answered(thread)
    office.backend.will(words=("Another answer.",))

    await office.ana.press(answer, "Regenerate")

    await thread.wait_for_bot_message("Another answer.")


async def test_nobody_is_called_by_what_a_model_writes(office: Office) -> None:
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
    thread = await asked(office)
    await office.slack.changes.wait_for(lambda: len(thread.bot_messages) == 1, "an answer")
    office.backend.last_run.released.set()

    answer = await answered(thread)

    assert answer.mentions == []
    assert all("<!channel>" not in text for text in answer.text_history)
    assert "channel> and" in answer.visible_text


async def test_nobody_is_called_by_what_a_person_asks(office: Office) -> None:
    thread = await asked(office, f"tell &lt;!channel&gt; and <@{office.otto.id}> something")

    await answered(thread)

    assert office.general.messages[0].mentions == []


async def test_four_people_at_once_are_within_the_tiers(opened: OfficeOpener) -> None:
    office = await opened(options=create_options(round_trip_seconds=0.02))
    people = [office.ana, office.otto, office.team.add_person("Mia"), office.team.add_person("Ben")]
    office.backend.will(words=words(1_200))
    for person in people:
        await person.use_command("/chat", f"{person.name} wants to know", office.general)

    await office.slack.changes.wait_for(
        lambda: sum("Delete" in message.button_labels for message in office.general.bot_messages) == 4,
        "four answers",
        20,
    )

    assert office.slack.rate_limited_calls == []


async def killed_while_it_spoke(office: Office) -> SlackThreadState:
    """A thread whose answer stands half-way, with the bot killed and started again; the model waits to go on."""
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    await thread.wait_for_bot_message("word20 ")
    await office.app.runner.stop()
    await office.close()
    await office.open()
    return thread


async def test_a_bot_that_was_killed_mid_stream_finishes_the_answer(office: Office) -> None:
    thread = await killed_while_it_spoke(office)

    office.backend.last_run.released.set()

    await answered(thread)
    assert whole(thread) == "".join(WORDS)
    assert all(not message.is_streaming for message in thread.bot_messages)


async def test_a_question_that_cannot_be_paid_leaves_no_trace(opened: OfficeOpener) -> None:
    office = await opened(daily_credits=Decimal(0))

    await office.ana.use_command("/chat", "hello", office.general)

    await office.ana.wait_for_private_message("credits short")
    await office.slack.wait_for_call("chat.delete")
    assert office.general.messages == []


async def test_where_a_channel_has_no_streams_others_keep_theirs(office: Office) -> None:
    office.slack.faults.respond("chat.startStream", "channel_type_not_supported")
    office.backend.will(words=words(100))
    office.backend.pauses = (50,)
    thread = await asked(office)
    await thread.wait_for_bot_message("000040 ")
    office.backend.resume()
    await answered(thread)

    office.backend.will(words=WORDS)
    other = await asked(office, "again")
    await office.slack.wait_for_call("chat.startStream", times=2)
    office.backend.resume()

    await answered(office.general.get_thread(office.general.find_message(other.ts) or office.general.messages[-1]))
    assert len(office.slack.find_calls("chat.startStream")) == 2


async def test_a_run_that_begins_anew_takes_back_what_it_said(office: Office) -> None:
    platform = office.app.platforms["slack"]
    root = await office.ana.say("hello", office.general)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    place = Channel("slack", office.team.id, office.general.id, root.ts)
    waiting = await platform.post(Destination(ana, place, "key", "job:0", is_streamed=True), working(""))
    ref = await platform.edit(waiting, working("The first try was "))
    assert ref is not None

    await platform.edit(ref, working("Another one "))
    await platform.edit(ref, working("Another one came "))
    await platform.edit(ref, Reply("Another one came instead.", tone=Tone.DONE))

    thread = office.general.get_thread(root)
    assert whole(thread) == "Another one came instead."
    assert len(thread.bot_messages) == 1


async def test_a_last_word_that_slack_never_answers_is_said_by_an_edit(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    await thread.wait_for_bot_message("word20 ")
    office.slack.faults.fail("chat.stopStream", status=500)

    office.backend.last_run.released.set()
    await answered(thread)

    assert whole(thread) == "".join(WORDS)


async def test_when_stops_are_used_up_the_last_words_do_not_wait_for_one(office: Office) -> None:
    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    growing = await thread.wait_for_bot_message("word20 ")
    platform.streams._web_api.rate_limits.get(office.team.id, "chat.stopStream").block(2)

    office.backend.last_run.released.set()
    await growing.wait_for_text("word59")

    assert growing.is_streaming
    await answered(thread)


async def test_an_answer_that_fits_no_stream_any_more_is_posted(office: Office) -> None:
    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    platform.streams._web_api.rate_limits.get(office.team.id, "chat.startStream").block(60)
    office.backend.will(words=words(200), hangs_after=100)

    thread = await asked(office)
    await thread.wait_for_bot_message("000090 ")
    office.backend.last_run.released.set()
    await answered(thread)

    assert office.slack.find_calls("chat.startStream") == []
    assert whole(thread) == "".join(words(200))


async def test_an_old_stop_says_that_nothing_runs(office: Office) -> None:
    thread = await killed_while_it_spoke(office)
    office.backend.last_run.released.set()
    await answered(thread)
    root = office.general.messages[0]
    assert root.button_labels == ["Stop"]

    await office.ana.press(root, "Stop")

    await office.ana.wait_for_private_message("Nothing is running")
    await root.wait_until(lambda message: not message.button_labels, "no more Stop")


async def test_a_link_says_where_it_leads(office: Office) -> None:
    office.backend.will(
        words=("See ", "<https://evil", ".example|https://bank.example> and <mailto:x@evil.example|me>.")
    )

    answer = await answered(await asked(office))

    assert "<https://evil.example|" not in answer.visible_text
    assert "<mailto:x@evil.example|" not in answer.visible_text


async def test_slacks_stop_goes_when_a_mended_answer_is_there(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    growing = await thread.wait_for_bot_message("word20 ")
    assert growing.stream is not None
    growing.stream.end_reason = "expired"
    office.backend.last_run.released.set()
    await answered(thread)
    await office.slack.wait_until_idle()

    assert office.team.sessions[office.general.id, thread.ts]["status"] == "active"


async def test_slacks_stop_goes_when_it_was_pressed(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    growing = await thread.wait_for_bot_message("word20 ")
    await office.ana.stop_stream(growing)
    await answered(thread)
    await office.slack.wait_until_idle()

    assert office.team.sessions[office.general.id, thread.ts]["status"] == "active"


async def test_a_lost_thread_keeps_no_status(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=0)
    thread = await asked(office)
    await office.slack.changes.wait_for(lambda: thread.status == "is thinking…", "a status")
    office.general.remove_bot()
    office.backend.last_run.released.set()
    await office.wait_until_idle()

    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    assert platform.statuses._statuses == {}


async def test_a_long_answer_cut_by_a_death_is_whole_afterwards(office: Office) -> None:
    text = words(800)
    office.backend.will(words=text, hangs_after=700)
    thread = await asked(office)
    await thread.wait_for_bot_message("000680 ")
    await office.app.runner.stop()
    await office.close()

    await office.open()
    office.backend.last_run.released.set()
    await answered(thread)

    assert re.findall(r"\d{6}", whole(thread)) == [word.strip() for word in text]
