"""Refused posts and posts without a response: shown once, or explained."""

import asyncio

from bot.core.jobs import JobState
from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import Reply, Tone
from tests.emulators.slack.messages import SlackMessageState
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import (
    ask_question,
    create_words,
    create_working_reply,
    join_answer,
    wait_for_answer,
)
from tests.storage.rows import make_job


async def store_job(office: Office) -> str:
    """Store a job accepted now, with no open work; return the id."""
    now = office.app.clock.now()
    job = make_job(state=JobState.DELIVERED, created_at=now, updated_at=now)
    async with office.app.database.write() as tx:
        await tx.jobs.add(job)
    return job.id


async def test_a_question_posted_without_a_response_is_answered_once(office: Office) -> None:
    office.slack.faults.drop_connection("chat.postMessage", takes_effect=True)

    thread = await ask_question(office)

    await wait_for_answer(thread)
    assert [one.text for one in office.general.bot_messages if not one.thread_ts] == ["Ana asked: Tell me."]


async def test_an_unpostable_question_is_reported(office: Office) -> None:
    office.slack.faults.fail("chat.postMessage", status=500, times=9)

    await office.ana.use_command("/chat", "hello", office.general)

    await office.ana.wait_for_private_message("Slack")


async def test_a_refused_reply_is_reported(office: Office) -> None:
    office.slack.faults.respond("chat.postMessage", "invalid_blocks", times=9)

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.ana.wait_for_private_message()


async def test_a_rate_limit_reported_with_status_200_is_waited_out(office: Office) -> None:
    office.slack.faults.respond("chat.postMessage", "ratelimited")
    office.slack.faults.respond("chat.update", "rate_limited")

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.clock.hurry_until(lambda: any("Report" in one.button_labels for one in office.general.bot_messages))


async def test_an_answer_posted_before_a_crash_is_not_posted_again(office: Office) -> None:
    platform = office.app.platforms["slack"]
    root = await office.ana.say("hello", office.general)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    nonce = f"{await store_job(office)}:0"
    place = Channel("slack", office.team.id, office.general.id, root.ts)
    unposted = await platform.post(Destination(ana, place, "key", nonce, is_streamed=True), create_working_reply(""))
    done = Reply("All of it.", tone=Tone.DONE)
    await platform.edit(unposted, done)
    await asyncio.sleep(0.01)
    await office.close()
    await office.open()

    await office.app.platforms["slack"].edit(unposted, done)

    assert len(office.general.get_thread(root).bot_messages) == 1


async def test_a_stream_started_without_a_response_is_found_again(office: Office) -> None:
    office.backend.will(words=create_words(100), hangs_after=60)
    office.slack.faults.drop_connection("chat.startStream", takes_effect=True)

    thread = await ask_question(office)
    await thread.wait_for_bot_message("000040 ")
    office.backend.last_run.released.set()
    await wait_for_answer(thread)

    assert len(thread.bot_messages) == 1
    assert join_answer(thread) == "".join(create_words(100))


async def test_a_stream_started_before_a_crash_continues(office: Office) -> None:
    platform = office.app.platforms["slack"]
    root = await office.ana.say("hello", office.general)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    place = Channel("slack", office.team.id, office.general.id, root.ts)
    unposted = await platform.post(
        Destination(ana, place, "key", f"{await store_job(office)}:0", is_streamed=True), create_working_reply("")
    )
    await platform.edit(unposted, create_working_reply("It was a **dark** and stormy "))
    await office.slack.wait_until_idle()
    await office.close()
    await office.open()
    whole_text = "It was a **dark** and stormy night, and it rained."

    ref = await office.app.platforms["slack"].edit(
        unposted, create_working_reply("It was a **dark** and stormy night, and ")
    )
    assert ref is not None
    await office.app.platforms["slack"].edit(ref, Reply(whole_text, tone=Tone.DONE))

    thread = office.general.get_thread(root)
    assert join_answer(thread) == whole_text
    assert len(thread.bot_messages) == 1


async def test_a_lost_post_is_found_at_the_end_of_a_long_thread(office: Office) -> None:
    begin = float(office.slack.clock.next_timestamp()) - 700
    root = SlackMessageState(office.general, f"{begin:.6f}", office.ana.id, "hello")
    office.general.add_message(root)
    for n in range(120):
        line = SlackMessageState(office.general, f"{begin + 1 + n:.6f}", office.otto.id, f"line {n}", thread_ts=root.ts)
        office.general.add_message(line)
    office.slack.faults.drop_connection("chat.postMessage", takes_effect=True)

    await office.ana.say(f"{office.team.mention} imagine: a fox", thread=root)

    thread = office.general.get_thread(root)
    await thread.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    assert len(thread.bot_messages) == 1
