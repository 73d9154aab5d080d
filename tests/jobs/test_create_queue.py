"""Waiting for creates, and a backend away: the messages shown, and no lost or held credits."""

from bot.core.backend import PredictionState
from bot.core.errors import BackendDown
from bot.core.jobs import JobState
from bot.core.replies import Stage, Tone
from tests.bench import Bench


def get_stage(bench: Bench) -> Stage:
    progress = bench.last_message.reply.progress
    assert progress is not None
    return progress.stage


async def test_a_job_waiting_for_its_create_is_shown_as_queued_and_continues(bench: Bench) -> None:
    bench.backend.create_allowed.clear()
    await bench.say("/imagine a fox")
    assert (get_stage(bench), (await bench.get_job()).state, bench.backend.runs) == (Stage.QUEUED, JobState.QUEUED, {})

    bench.backend.create_allowed.set()
    await bench.wait_until_idle()

    assert bench.last_message.reply.tone is Tone.DONE


async def test_a_job_waiting_for_its_create_can_be_cancelled_for_nothing(bench: Bench) -> None:
    bench.backend.create_allowed.clear()
    await bench.say("/imagine a fox")

    await bench.press("cancel")

    assert bench.last_text == "⏹ Stopped."
    assert bench.backend.waiting_count == 0
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits
    assert await bench.list_open_holds() == []


async def test_stopping_the_bot_leaves_the_backends_queue(bench: Bench) -> None:
    bench.backend.create_allowed.clear()
    await bench.say("/imagine a fox")

    await bench.app.runner.stop()

    assert bench.backend.waiting_count == 0
    assert (await bench.get_job()).state is JobState.QUEUED


async def test_a_throttled_create_is_repeated_without_a_search_for_its_run(bench: Bench) -> None:
    bench.backend.throttled_submits = 3

    await bench.say("/imagine a fox")
    await bench.advance_time(4)

    assert len(bench.backend.runs) == 1
    assert bench.last_message.reply.tone is Tone.DONE
    assert (await bench.get_job()).attempts == 0


async def test_while_the_backend_is_away_requests_are_rejected_and_nothing_is_held(bench: Bench) -> None:
    bench.backend.admit_error = BackendDown("The model service cannot be reached right now. Try again in 15 seconds.")

    reply = await bench.say("/imagine a fox")

    assert reply is not None
    assert "Try again in 15 seconds." in reply.text
    assert bench.platform.messages == {}
    assert await bench.balance() == bench.starting_credits
    assert await bench.list_open_holds() == []


async def test_a_repeated_request_gets_its_job_while_the_backend_is_away(bench: Bench) -> None:
    await bench.say("/imagine a fox", key="web:7")
    bench.backend.admit_error = BackendDown("The model service cannot be reached right now. Try again in 15 seconds.")

    assert await bench.say("/imagine a fox", key="web:7") is None

    assert len(bench.backend.runs) == 1


async def test_a_silent_text_model_is_shown_as_starting_with_its_usual_time(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    bench.backend.reports_start = False
    await bench.say("/chat hello")
    await bench.advance_time(3)
    assert get_stage(bench) is Stage.RUNNING

    await bench.advance_time(4)

    assert get_stage(bench) is Stage.STARTING
    progress = bench.last_message.reply.progress
    assert progress is not None
    assert progress.usual_seconds


async def test_a_warm_text_model_causes_no_edit_before_its_first_word(bench: Bench) -> None:
    """On Discord the word would wait a second behind the edit."""
    bench.backend.will(hangs_after=0)
    await bench.say("/chat hello")
    await bench.advance_time(1)

    shown = [reply.progress.stage for reply in bench.last_message.history if reply.progress]

    assert bench.backend.last_run.state is PredictionState.PROCESSING
    assert shown == [Stage.QUEUED]


async def test_the_time_limit_counts_from_the_start_of_the_run_not_of_the_watch(bench: Bench) -> None:
    """The first poll of a picture comes after half a minute; the limit is sixty seconds from the start."""
    bench.backend.will(hangs_after=0)
    bench.backend.started_after_seconds = 0.5
    bench.backend.first_look_seconds = 30
    await bench.say("/imagine a fox")

    await bench.advance_time(59)
    assert bench.backend.cancelled == []
    await bench.advance_time(3)

    assert bench.backend.cancelled == ["run1"]
