"""What Slack shows while the bot works: nobody waits for it, and nothing of it stays."""

from bot.platforms.slack.status import SET_SESSION_STATUS, SET_THREAD_STATUS
from tests.emulators.slack.state import SlackThreadState
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import WORDS, answered


async def mentioned(office: Office, text: str) -> SlackThreadState:
    """A question that stands in general, and the thread that answers it."""
    return office.general.get_thread(await office.ana.say(f"{office.team.mention} {text}", office.general))


async def test_an_answer_begins_while_slack_is_still_being_told_of_it(office: Office) -> None:
    office.slack.faults.delay(SET_THREAD_STATUS, 60)
    office.backend.will(words=WORDS)

    await answered(await mentioned(office, "Tell me."))

    told = office.slack.find_calls(SET_THREAD_STATUS)
    assert [call.status for call in told] == [0]
    office.advance_time(60)
    await office.slack.wait_until_idle()


async def test_a_status_that_came_late_does_not_outlive_the_answer(office: Office) -> None:
    office.slack.faults.delay(SET_THREAD_STATUS, 60)
    office.backend.will(words=WORDS)
    thread = await mentioned(office, "Tell me.")
    await answered(thread)

    office.advance_time(60)
    await office.slack.wait_for_call(SET_THREAD_STATUS, times=2)

    assert thread.status == ""
    assert office.slack.find_calls(SET_SESSION_STATUS) == []


async def test_a_session_rests_after_an_answer_that_did_not_stream(office: Office) -> None:
    office.backend.will(words=("Yes.",))
    office.backend.create_allowed.clear()
    thread = await mentioned(office, "Tell me.")
    await office.slack.wait_for_call(SET_SESSION_STATUS)
    office.backend.create_allowed.set()

    await answered(thread)
    await office.slack.wait_for_call(SET_SESSION_STATUS, times=2)

    assert [call.args["status"] for call in office.slack.find_calls(SET_SESSION_STATUS)] == ["processing", "active"]
    assert thread.status == ""
