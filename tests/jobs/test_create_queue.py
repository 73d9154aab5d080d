"""The line of creates, and a backend that is away: what people see, and that nothing is lost or held."""

from bot.core.backend import PredictionState
from bot.core.errors import BackendDown
from bot.core.jobs import JobState
from bot.core.replies import Stage, Tone
from tests.bench import Bench


def stage(bench: Bench) -> Stage:
    progress = bench.last_message.reply.progress
    assert progress is not None
    return progress.stage


async def test_who_waits_in_line_sees_so_and_goes_on(bench: Bench) -> None:
    bench.backend.create_allowed.clear()
    await bench.say("/imagine a fox")
    assert (stage(bench), (await bench.get_job()).state, bench.backend.runs) == (Stage.QUEUED, JobState.QUEUED, {})

    bench.backend.create_allowed.set()
    await bench.wait_until_idle()

    assert bench.last_message.reply.tone is Tone.DONE


async def test_who_waits_in_line_can_leave_it(bench: Bench) -> None:
    bench.backend.create_allowed.clear()
    await bench.say("/imagine a fox")

    await bench.press("cancel")

    assert bench.last_text == "⏹ Stopped."
    assert bench.backend.waiting_count == 0
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits
    assert await bench.list_open_holds() == []


async def test_a_stop_of_the_bot_leaves_the_line_too(bench: Bench) -> None:
    bench.backend.create_allowed.clear()
    await bench.say("/imagine a fox")

    await bench.app.runner.stop()

    assert bench.backend.waiting_count == 0
    assert (await bench.get_job()).state is JobState.QUEUED


async def test_a_throttled_create_is_sent_again_without_looking_for_it(bench: Bench) -> None:
    bench.backend.throttled_submits = 3

    await bench.say("/imagine a fox")
    await bench.advance_time(4)

    assert len(bench.backend.runs) == 1
    assert bench.last_message.reply.tone is Tone.DONE
    assert (await bench.get_job()).attempts == 0


async def test_while_the_backend_is_away_an_ask_is_refused_at_once_and_nothing_is_held(bench: Bench) -> None:
    bench.backend.admit_error = BackendDown("The model service cannot be reached right now. Try again in 15 seconds.")

    reply = await bench.say("/imagine a fox")

    assert reply is not None
    assert "Try again in 15 seconds." in reply.text
    assert bench.platform.messages == {}
    assert await bench.balance() == bench.starting_credits
    assert await bench.list_open_holds() == []


async def test_an_ask_that_was_accepted_before_is_not_refused(bench: Bench) -> None:
    await bench.say("/imagine a fox", key="web:7")
    bench.backend.admit_error = BackendDown("The model service cannot be reached right now. Try again in 15 seconds.")

    assert await bench.say("/imagine a fox", key="web:7") is None

    assert len(bench.backend.runs) == 1


async def test_a_silent_text_model_is_starting_and_the_usual_time_is_told(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    bench.backend.reports_start = False
    await bench.say("/chat hello")
    await bench.advance_time(3)
    assert stage(bench) is Stage.RUNNING

    await bench.advance_time(4)

    assert stage(bench) is Stage.STARTING
    progress = bench.last_message.reply.progress
    assert progress is not None
    assert progress.usual_seconds


async def test_no_edit_goes_before_the_first_word_of_a_warm_text_model(bench: Bench) -> None:
    """On Discord the word would wait a second behind it."""
    bench.backend.will(hangs_after=0)
    await bench.say("/chat hello")
    await bench.advance_time(1)

    shown = [reply.progress.stage for reply in bench.last_message.history if reply.progress]

    assert bench.backend.last_run.state is PredictionState.PROCESSING
    assert shown == [Stage.QUEUED]


async def test_what_ran_before_anybody_looked_counts_against_its_limit(bench: Bench) -> None:
    """A picture is looked at after half a minute; its limit of sixty seconds counts from its start all the same."""
    bench.backend.will(hangs_after=0)
    bench.backend.started_after_seconds = 0.5
    bench.backend.first_look_seconds = 30
    await bench.say("/imagine a fox")

    await bench.advance_time(59)
    assert bench.backend.cancelled == []
    await bench.advance_time(3)

    assert bench.backend.cancelled == ["run1"]
