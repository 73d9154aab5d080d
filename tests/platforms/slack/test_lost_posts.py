"""Posts that Slack refuses, or whose answer is lost: shown once, or said why not."""

import asyncio

from bot.core.ids import new_id
from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import Reply, Tone
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import answered, asked, working


async def test_a_question_whose_post_was_not_answered_is_answered_once(office: Office) -> None:
    office.slack.faults.cut("chat.postMessage", after_the_work=True)

    thread = await asked(office)

    await answered(thread)
    assert [one.text for one in office.general.of_bot if not one.thread_ts] == ["Ana asked: Tell me."]


async def test_a_question_that_cannot_be_posted_says_so(office: Office) -> None:
    office.slack.faults.fail("chat.postMessage", status=500, times=9)

    await office.ana.slash("/chat", "hello", office.general)

    await office.ana.told("Slack")


async def test_a_reply_that_slack_refuses_is_not_lost_in_silence(office: Office) -> None:
    office.slack.faults.answer("chat.postMessage", "invalid_blocks", times=9)

    await office.ana.slash("/imagine", "a fox", office.general)

    await office.ana.told()


async def test_a_limit_told_in_a_200_is_waited_out(office: Office) -> None:
    office.slack.faults.answer("chat.postMessage", "ratelimited")
    office.slack.faults.answer("chat.update", "rate_limited")

    await office.ana.slash("/imagine", "a fox", office.general)

    await office.general.bot_says(holds=lambda one: "Report" in one.buttons)


async def test_an_answer_posted_by_a_bot_that_died_then_is_not_posted_again(office: Office) -> None:
    platform = office.app.platforms["slack"]
    root = await office.ana.say("hello", office.general)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    nonce = f"{new_id()}:0"
    place = Channel("slack", office.team.id, office.general.id, root.ts)
    waiting = await platform.post(Destination(ana, place, "key", nonce, grows=True), working(""))
    done = Reply("All of it.", tone=Tone.DONE)
    await platform.edit(waiting, done)
    await asyncio.sleep(0.01)
    await office.close()
    await office.open()

    await office.app.platforms["slack"].edit(waiting, done)

    assert len(office.general.thread(root).of_bot) == 1
