"""Answers that stream: Slack's own streams, their two limits, what mends them, and what takes their place."""

import re
from decimal import Decimal

from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import Reply, Tone
from bot.platforms.slack.platform import SlackPlatform
from bot.platforms.slack.streams import FULL_AFTER_SECONDS
from tests.emulators.slack.messages import Message
from tests.emulators.slack.workspace import Thread
from tests.platforms.slack.conftest import Opener
from tests.platforms.slack.office import Office, options

WORDS = tuple(f"word{n} " for n in range(60))


def words(count: int, size: int = 6) -> tuple[str, ...]:
    """A text of so many words in paragraphs, each word unlike the others."""
    return tuple(f"{n:0{size}}{chr(10) * 2 if n % 40 == 39 else ' '}" for n in range(count))


def working(text: str) -> Reply:
    return Reply(text, tone=Tone.WORKING)


async def asked(office: Office, text: str = "Tell me.") -> Thread:
    """Ana's question, in general: the thread that answers it."""
    await office.ana.slash("/chat", text, office.general)
    root = await office.general.bot_says("asked:")
    return office.general.thread(root)


async def answered(thread: Thread) -> Message:
    """The last message of a whole answer."""
    return await thread.bot_says(holds=lambda one: "Delete" in one.buttons, patience=15)


def whole(thread: Thread) -> str:
    """All that the messages of an answer show, in order, without what stands under them."""
    return "".join(_text(message) for message in thread.of_bot)


def _text(message: Message) -> str:
    if message.stream and not message.edited_at:
        return message.stream.text
    return "".join(str(block.get("text", "")) for block in message.blocks if block["type"] == "markdown")


async def test_the_question_is_posted_and_the_answer_streams_into_its_thread(either: Office) -> None:
    either.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(either, "What is *up*, <you> & me?")
    growing = await thread.bot_says("word20 ")
    assert growing.is_streaming

    either.backend.last.let_go.set()
    answer = await answered(thread)

    root = either.general.messages[0]
    assert "*Ana* asked:\n>What is *up*, &lt;you&gt; &amp; me?" in root.shown
    assert answer is growing
    assert not answer.is_streaming
    assert whole(thread) == "".join(WORDS)
    assert answer.buttons == ["Regenerate", "Delete"]
    assert "Llama 3 8B" in answer.shown


async def test_a_stream_knows_whom_it_is_for(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    await asked(office)

    call = await office.slack.called("chat.startStream")
    office.backend.last.let_go.set()

    assert call.args["recipient_user_id"] == office.ana.id
    assert call.args["recipient_team_id"] == office.team.id


async def test_a_status_shows_until_the_first_word(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=0)
    thread = await asked(office)

    await office.slack.changes.until(lambda: thread.status == "is thinking…", "a status")
    office.backend.last.let_go.set()
    await answered(thread)

    assert thread.status == ""


async def test_a_short_answer_is_one_message_without_a_stream(office: Office) -> None:
    office.backend.will(words=("Yes.",))

    answer = await answered(await asked(office))

    assert answer.shown.startswith("Yes.")
    assert office.slack.calls_of("chat.startStream") == []


async def test_a_long_answer_goes_on_in_further_messages_and_loses_nothing(office: Office) -> None:
    text = words(3_000)
    office.backend.will(words=text, hangs_after=1_500)
    thread = await asked(office)
    await thread.bot_says("001300 ", patience=10)
    office.backend.last.let_go.set()

    await answered(thread)

    assert len(thread.of_bot) == 3
    assert whole(thread) == "".join(text)
    assert all(len(_text(message).encode()) <= 9_000 for message in thread.of_bot)
    assert all(not message.is_streaming for message in thread.of_bot)
    assert [bool(message.buttons) for message in thread.of_bot] == [False, False, True]


async def test_code_that_goes_on_in_a_further_message_is_code_there_too(office: Office) -> None:
    code = tuple(f"print({n})\n" for n in range(2_000))
    office.backend.will(words=("Here:\n\n", "```python\n", *code, "```\n", "Done."), hangs_after=900)
    thread = await asked(office)
    await thread.bot_says("print(700)", patience=10)
    office.backend.last.let_go.set()

    await answered(thread)

    shown = [_text(message) for message in thread.of_bot]
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
    await thread.bot_says("000090 ")

    office.pass_time(FULL_AFTER_SECONDS + 5)
    office.backend.go_on()
    await office.slack.called("chat.stopStream")
    office.pass_time(200)
    office.backend.go_on()
    await answered(thread)

    assert len(thread.of_bot) == 2
    assert whole(thread) == "".join(text)


async def test_a_stream_that_slack_ended_is_mended_by_an_edit(either: Office) -> None:
    either.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(either)
    growing = await thread.bot_says("word20 ")
    assert growing.stream is not None
    growing.stream.ended = "expired"

    either.backend.last.let_go.set()
    await answered(thread)

    assert thread.of_bot == [growing]
    assert whole(thread) == "".join(WORDS)
    assert "Delete" in growing.buttons


async def test_a_stream_that_died_of_age_unseen_keeps_every_word(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    await thread.bot_says("word20 ")

    office.pass_time(400)
    office.backend.last.let_go.set()
    await answered(thread)

    assert whole(thread) == "".join(WORDS)


async def test_an_append_whose_answer_was_lost_shows_nothing_twice(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    await thread.bot_says("word20 ")
    office.slack.faults.cut("chat.stopStream", after_the_work=True)
    office.slack.faults.cut("chat.appendStream", after_the_work=True)

    office.backend.last.let_go.set()
    await answered(thread)

    assert whole(thread) == "".join(WORDS)


async def test_a_post_whose_answer_was_lost_is_found_again(office: Office) -> None:
    office.slack.faults.cut("chat.postMessage", after_the_work=True)

    await office.ana.slash("/imagine", "a fox", office.general)

    await office.general.bot_says(holds=lambda one: "Again" in one.buttons)
    assert len(office.general.of_bot) == 1


async def test_without_streams_the_answer_is_posted_and_edited(either: Office) -> None:
    either.slack.faults.answer("chat.startStream", "unknown_method", times=9)
    text = words(1_000)
    either.backend.will(words=text, hangs_after=400)
    thread = await asked(either)
    await thread.bot_says("000300 ")

    either.backend.last.let_go.set()
    await answered(thread)

    assert len(either.slack.calls_of("chat.startStream")) == 1
    assert whole(thread) == "".join(text)
    edited = [message for message in thread.of_bot if message.edited_at]
    assert edited
    assert all(len(_text(message).encode()) <= 3_500 for message in edited)


async def test_where_streams_are_known_not_to_be_had_a_message_waits_with_a_stop(office: Office) -> None:
    office.slack.faults.answer("chat.startStream", "unknown_method")
    office.backend.will(words=WORDS)
    await answered(await asked(office))
    office.backend.will(words=WORDS, hangs_after=0)

    await office.ana.slash("/chat", "again", office.general)
    working = await office.slack.changes.until(
        lambda: next((m for m in office.general.of_bot if m.thread_ts and "Stop" in m.buttons), None), "a stop"
    )
    await office.ana.press(working, "Stop")

    await working.shows("Stopped")


async def test_slacks_own_stop_ends_the_answer(either: Office) -> None:
    either.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(either)
    growing = await thread.bot_says("word20 ")

    await either.ana.stop(growing)

    answer = await answered(thread)
    assert "Stopped" in answer.shown
    assert "word20 " in answer.shown
    assert either.backend.cancelled


async def test_the_stop_on_the_question_ends_the_answer_and_goes_with_it(either: Office) -> None:
    either.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(either)
    await thread.bot_says("word20 ")
    root = either.general.messages[0]

    await either.ana.press(root, "Stop")

    answer = await answered(thread)
    assert "Stopped" in answer.shown
    await root.until(lambda message: not message.buttons, "no more Stop")


async def test_a_stop_that_only_the_stream_tells_of_ends_the_answer(office: Office) -> None:
    office.backend.will(words=words(500))
    office.backend.pauses = (30, 60)
    thread = await asked(office)
    growing = await thread.bot_says("000020 ")
    assert growing.stream is not None
    growing.stream.ended = "stopped_by_user"

    office.backend.go_on()

    answer = await answered(thread)
    assert "Stopped" in answer.shown
    assert office.backend.cancelled


async def test_a_cut_answer_says_why_and_offers_to_go_on(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30, error="out of memory")
    thread = await asked(office)
    await thread.bot_says("word20 ")

    office.backend.last.let_go.set()

    answer = await answered(thread)
    assert "word59" in answer.shown
    assert "out of memory" in answer.shown
    assert answer.buttons == ["Continue", "Try again", "Delete"]
    assert await office.balance(office.ana) == office.everything


async def test_regenerate_answers_beside_the_first(office: Office) -> None:
    thread = await asked(office)
    answer = await answered(thread)
    office.backend.will(words=("Another answer.",))

    await office.ana.press(answer, "Regenerate")

    await thread.bot_says("Another answer.")


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
    await office.slack.changes.until(lambda: len(thread.of_bot) == 1, "an answer")
    office.backend.last.let_go.set()

    answer = await answered(thread)

    assert answer.pings == []
    assert all("<!channel>" not in text for text in answer.history)
    assert "channel> and" in answer.shown


async def test_nobody_is_called_by_what_a_person_asks(office: Office) -> None:
    thread = await asked(office, f"tell &lt;!channel&gt; and <@{office.otto.id}> something")

    await answered(thread)

    assert office.general.messages[0].pings == []


async def test_four_people_at_once_are_within_the_tiers(opened: Opener) -> None:
    office = await opened(options=options(round_trip=0.02))
    people = [office.ana, office.otto, office.team.user("Mia"), office.team.user("Ben")]
    office.backend.will(words=words(1_200))
    for person in people:
        await person.slash("/chat", f"{person.name} wants to know", office.general)

    await office.slack.changes.until(
        lambda: sum("Delete" in message.buttons for message in office.general.of_bot) == 4, "four answers", 20
    )

    assert office.slack.too_many == []


async def killed_while_it_spoke(office: Office) -> Thread:
    """A thread whose answer stands half-way, with the bot killed and started again; the model waits to go on."""
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    await thread.bot_says("word20 ")
    await office.app.runner.stop()
    await office.close()
    await office.open()
    return thread


async def test_a_bot_that_was_killed_mid_stream_finishes_the_answer(office: Office) -> None:
    thread = await killed_while_it_spoke(office)

    office.backend.last.let_go.set()

    await answered(thread)
    assert whole(thread) == "".join(WORDS)
    assert all(not message.is_streaming for message in thread.of_bot)


async def test_a_question_that_cannot_be_paid_leaves_no_trace(opened: Opener) -> None:
    office = await opened(daily_credits=Decimal(0))

    await office.ana.slash("/chat", "hello", office.general)

    await office.ana.told("credits short")
    await office.slack.called("chat.delete")
    assert office.general.messages == []


async def test_where_a_channel_has_no_streams_others_keep_theirs(office: Office) -> None:
    office.slack.faults.answer("chat.startStream", "channel_type_not_supported")
    office.backend.will(words=words(100))
    office.backend.pauses = (50,)
    thread = await asked(office)
    await thread.bot_says("000040 ")
    office.backend.go_on()
    await answered(thread)

    office.backend.will(words=WORDS)
    other = await asked(office, "again")
    await office.slack.called("chat.startStream", times=2)
    office.backend.go_on()

    await answered(office.general.thread(office.general.find(other.ts) or office.general.messages[-1]))
    assert len(office.slack.calls_of("chat.startStream")) == 2


async def test_a_run_that_begins_anew_takes_back_what_it_said(office: Office) -> None:
    platform = office.app.platforms["slack"]
    root = await office.ana.say("hello", office.general)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    place = Channel("slack", office.team.id, office.general.id, root.ts)
    waiting = await platform.post(Destination(ana, place, "key", "job:0", grows=True), working(""))
    ref = await platform.edit(waiting, working("The first try was "))
    assert ref is not None

    await platform.edit(ref, working("Another one "))
    await platform.edit(ref, working("Another one came "))
    await platform.edit(ref, Reply("Another one came instead.", tone=Tone.DONE))

    thread = office.general.thread(root)
    assert whole(thread) == "Another one came instead."
    assert len(thread.of_bot) == 1


async def test_a_last_word_that_slack_never_answers_is_said_by_an_edit(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    await thread.bot_says("word20 ")
    office.slack.faults.fail("chat.stopStream", status=500)

    office.backend.last.let_go.set()
    await answered(thread)

    assert whole(thread) == "".join(WORDS)


async def test_when_stops_are_used_up_the_last_words_do_not_wait_for_one(office: Office) -> None:
    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    growing = await thread.bot_says("word20 ")
    platform.streams._calls.budgets.of(office.team.id, "chat.stopStream").penalty(2)

    office.backend.last.let_go.set()
    await growing.shows("word59")

    assert growing.is_streaming
    await answered(thread)


async def test_an_answer_that_fits_no_stream_any_more_is_posted(office: Office) -> None:
    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    platform.streams._calls.budgets.of(office.team.id, "chat.startStream").penalty(60)
    office.backend.will(words=words(200), hangs_after=100)

    thread = await asked(office)
    await thread.bot_says("000090 ")
    office.backend.last.let_go.set()
    await answered(thread)

    assert office.slack.calls_of("chat.startStream") == []
    assert whole(thread) == "".join(words(200))


async def test_an_old_stop_says_that_nothing_runs(office: Office) -> None:
    thread = await killed_while_it_spoke(office)
    office.backend.last.let_go.set()
    await answered(thread)
    root = office.general.messages[0]
    assert root.buttons == ["Stop"]

    await office.ana.press(root, "Stop")

    await office.ana.told("Nothing is running")
    await root.until(lambda message: not message.buttons, "no more Stop")


async def test_a_link_says_where_it_leads(office: Office) -> None:
    office.backend.will(
        words=("See ", "<https://evil", ".example|https://bank.example> and <mailto:x@evil.example|me>.")
    )

    answer = await answered(await asked(office))

    assert "<https://evil.example|" not in answer.shown
    assert "<mailto:x@evil.example|" not in answer.shown


async def test_slacks_stop_goes_when_a_mended_answer_is_there(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    growing = await thread.bot_says("word20 ")
    assert growing.stream is not None
    growing.stream.ended = "expired"
    office.backend.last.let_go.set()
    await answered(thread)
    await office.slack.quiet()

    assert office.team.sessions[office.general.id, thread.ts]["status"] == "active"


async def test_slacks_stop_goes_when_it_was_pressed(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    thread = await asked(office)
    growing = await thread.bot_says("word20 ")
    await office.ana.stop(growing)
    await answered(thread)
    await office.slack.quiet()

    assert office.team.sessions[office.general.id, thread.ts]["status"] == "active"


async def test_a_lost_thread_keeps_no_status(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=0)
    thread = await asked(office)
    await office.slack.changes.until(lambda: thread.status == "is thinking…", "a status")
    office.general.remove_bot()
    office.backend.last.let_go.set()
    await office.rest()

    platform = office.app.platforms["slack"]
    assert isinstance(platform, SlackPlatform)
    assert platform.statuses._lines == {}


async def test_a_long_answer_cut_by_a_death_is_whole_afterwards(office: Office) -> None:
    text = words(800)
    office.backend.will(words=text, hangs_after=700)
    thread = await asked(office)
    await thread.bot_says("000680 ")
    await office.app.runner.stop()
    await office.close()

    await office.open()
    office.backend.last.let_go.set()
    await answered(thread)

    assert re.findall(r"\d{6}", whole(thread)) == [word.strip() for word in text]
