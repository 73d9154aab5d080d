"""The status of a working bot: no answer waits for the status, and no status stays."""

from bot.platforms.slack.agent_view import SET_SESSION_STATUS, SET_THREAD_STATUS
from tests.emulators.slack.state import SlackThreadState
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import WORDS, wait_for_answer


async def mention_bot(office: Office, text: str) -> SlackThreadState:
    """Mention the bot as Ana in #general and return the thread of the answer."""
    return office.general.get_thread(await office.ana.say(f"{office.team.mention} {text}", office.general))


async def test_an_answer_starts_before_a_slow_status_call_ends(office: Office) -> None:
    office.slack.faults.delay(SET_THREAD_STATUS, 60)
    office.backend.will(words=WORDS)

    await wait_for_answer(await mention_bot(office, "Tell me."))

    calls = office.slack.find_calls(SET_THREAD_STATUS)
    assert [call.status for call in calls] == [0]
    office.advance_time(60)
    await office.slack.wait_until_idle()


async def test_a_late_status_does_not_outlive_the_answer(office: Office) -> None:
    office.slack.faults.delay(SET_THREAD_STATUS, 60)
    office.backend.will(words=WORDS)
    thread = await mention_bot(office, "Tell me.")
    await wait_for_answer(thread)

    office.advance_time(60)
    await office.slack.wait_for_call(SET_THREAD_STATUS, times=2)

    assert thread.status == ""
    assert office.slack.find_calls(SET_SESSION_STATUS) == []


async def test_a_session_ends_after_an_answer_without_a_stream(office: Office) -> None:
    office.backend.will(words=("Yes.",))
    office.backend.create_allowed.clear()
    thread = await mention_bot(office, "Tell me.")
    await office.slack.wait_for_call(SET_SESSION_STATUS)
    office.backend.create_allowed.set()

    await wait_for_answer(thread)
    await office.slack.wait_for_call(SET_SESSION_STATUS, times=2)

    assert [call.args["status"] for call in office.slack.find_calls(SET_SESSION_STATUS)] == ["processing", "active"]
    assert thread.status == ""
