"""What Slack shows while the bot works: nobody waits for it, and nothing of it stays."""

from bot.platforms.slack.status import LINE, SESSION
from tests.emulators.slack.workspace import Thread
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import WORDS, answered, asked


async def mentioned(office: Office, text: str) -> Thread:
    """A question that stands in general, and the thread that answers it."""
    return office.general.thread(await office.ana.say(f"{office.team.mention} {text}", office.general))


async def test_an_answer_begins_while_slack_is_still_being_told_of_it(office: Office) -> None:
    office.slack.faults.delay(LINE, 30)
    office.slack.faults.delay(SESSION, 30)
    office.backend.will(words=WORDS, hangs_after=30)

    thread = await mentioned(office, "Tell me.")

    growing = await thread.bot_says("word20 ")
    assert growing.is_streaming
    assert not any(call.status for call in office.slack.calls_of(LINE))
    office.slack.pass_time = None  # type: ignore[attr-defined]
