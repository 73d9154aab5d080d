"""What Slack shows while the bot works: nobody waits for it, and nothing of it stays."""

from bot.platforms.slack.status import LINE, SESSION
from tests.emulators.slack.workspace import Thread
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import WORDS, answered


async def mentioned(office: Office, text: str) -> Thread:
    """A question that stands in general, and the thread that answers it."""
    return office.general.thread(await office.ana.say(f"{office.team.mention} {text}", office.general))


async def test_an_answer_begins_while_slack_is_still_being_told_of_it(office: Office) -> None:
    office.slack.faults.delay(LINE, 60)
    office.backend.will(words=WORDS)

    await answered(await mentioned(office, "Tell me."))

    told = office.slack.calls_of(LINE)
    assert [call.status for call in told] == [0]
    office.pass_time(60)
    await office.slack.quiet()


async def test_a_status_that_came_late_does_not_outlive_the_answer(office: Office) -> None:
    office.slack.faults.delay(LINE, 60)
    office.backend.will(words=WORDS)
    thread = await mentioned(office, "Tell me.")
    await answered(thread)

    office.pass_time(60)
    await office.slack.called(LINE, times=2)

    assert thread.status == ""
    assert office.slack.calls_of(SESSION) == []


async def test_a_session_rests_after_an_answer_that_did_not_stream(office: Office) -> None:
    office.backend.will(words=("Yes.",))
    office.backend.is_free.clear()
    thread = await mentioned(office, "Tell me.")
    await office.slack.called(SESSION)
    office.backend.is_free.set()

    await answered(thread)
    await office.slack.called(SESSION, times=2)

    assert [call.args["status"] for call in office.slack.calls_of(SESSION)] == ["processing", "active"]
    assert thread.status == ""
