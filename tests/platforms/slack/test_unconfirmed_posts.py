"""Posts that Slack refuses, or whose answer is lost: shown once, or said why not."""

import asyncio

from bot.core.ids import new_id
from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import Reply, Tone
from tests.emulators.slack.messages import SlackMessageState
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import answered, asked, whole, words, working


async def test_a_question_whose_post_was_not_answered_is_answered_once(office: Office) -> None:
    office.slack.faults.drop_connection("chat.postMessage", takes_effect=True)

    thread = await asked(office)

    await answered(thread)
    assert [one.text for one in office.general.bot_messages if not one.thread_ts] == ["Ana asked: Tell me."]


async def test_a_question_that_cannot_be_posted_says_so(office: Office) -> None:
    office.slack.faults.fail("chat.postMessage", status=500, times=9)

    await office.ana.use_command("/chat", "hello", office.general)

    await office.ana.wait_for_private_message("Slack")


async def test_a_reply_that_slack_refuses_is_not_lost_in_silence(office: Office) -> None:
    office.slack.faults.respond("chat.postMessage", "invalid_blocks", times=9)

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.ana.wait_for_private_message()


async def test_a_limit_told_in_a_200_is_waited_out(office: Office) -> None:
    office.slack.faults.respond("chat.postMessage", "ratelimited")
    office.slack.faults.respond("chat.update", "rate_limited")

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels)


async def test_an_answer_posted_by_a_bot_that_died_then_is_not_posted_again(office: Office) -> None:
    platform = office.app.platforms["slack"]
    root = await office.ana.say("hello", office.general)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    nonce = f"{new_id()}:0"
    place = Channel("slack", office.team.id, office.general.id, root.ts)
    waiting = await platform.post(Destination(ana, place, "key", nonce, is_streamed=True), working(""))
    done = Reply("All of it.", tone=Tone.DONE)
    await platform.edit(waiting, done)
    await asyncio.sleep(0.01)
    await office.close()
    await office.open()

    await office.app.platforms["slack"].edit(waiting, done)

    assert len(office.general.get_thread(root).bot_messages) == 1


async def test_a_stream_whose_begin_was_not_answered_is_found_again(office: Office) -> None:
    office.backend.will(words=words(100), hangs_after=60)
    office.slack.faults.drop_connection("chat.startStream", takes_effect=True)

    thread = await asked(office)
    await thread.wait_for_bot_message("000040 ")
    office.backend.last_run.released.set()
    await answered(thread)

    assert len(thread.bot_messages) == 1
    assert whole(thread) == "".join(words(100))


async def test_a_stream_begun_by_a_bot_that_died_then_goes_on(office: Office) -> None:
    platform = office.app.platforms["slack"]
    root = await office.ana.say("hello", office.general)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    place = Channel("slack", office.team.id, office.general.id, root.ts)
    waiting = await platform.post(Destination(ana, place, "key", f"{new_id()}:0", is_streamed=True), working(""))
    await platform.edit(waiting, working("It was a **dark** and stormy "))
    await office.slack.wait_until_idle()
    await office.close()
    await office.open()
    whole_text = "It was a **dark** and stormy night, and it rained."

    ref = await office.app.platforms["slack"].edit(waiting, working("It was a **dark** and stormy night, and "))
    assert ref is not None
    await office.app.platforms["slack"].edit(ref, Reply(whole_text, tone=Tone.DONE))

    thread = office.general.get_thread(root)
    assert whole(thread) == whole_text
    assert len(thread.bot_messages) == 1


async def test_a_lost_post_is_found_at_the_end_of_a_long_thread(office: Office) -> None:
    begin = float(office.slack.clock.next_timestamp()) - 700
    root = SlackMessageState(office.general, f"{begin:.6f}", office.ana.id, "hello")
    office.general.add_message(root)
    for n in range(120):
        line = SlackMessageState(office.general, f"{begin + 1 + n:.6f}", office.otto.id, f"line {n}", thread_ts=root.ts)
        office.general.add_message(line)
    office.slack.faults.drop_connection("chat.postMessage", takes_effect=True)

    await office.ana.say(f"{office.team.mention} imagine a fox", thread=root)

    thread = office.general.get_thread(root)
    await thread.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    assert len(thread.bot_messages) == 1
