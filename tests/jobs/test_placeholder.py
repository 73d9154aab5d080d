"""A placeholder posted by the platform, as for deferred interactions, is stored with the job and becomes the result."""

from datetime import timedelta
from pathlib import Path

from bot.core.invocations import Invocation
from bot.core.jobs import JobState
from bot.core.replies import MessageRef
from tests.bench import Bench
from tests.fakes.samples import ANA, CHANNEL, NOW

WAITING = MessageRef("web", "page", "c1", "", "@original", "a-secret-token", NOW + timedelta(minutes=15))


def make_invocation(*, is_private: bool = False) -> Invocation:
    options = {"prompt": "a fox"}
    return Invocation(ANA, CHANNEL, "imagine", "web:i1", options, placeholder=WAITING, is_private=is_private)


async def test_a_posted_placeholder_becomes_the_result(bench: Bench) -> None:
    await bench.app.dispatcher.handle(make_invocation())
    await bench.wait_until_idle()

    assert list(bench.platform.messages) == ["@original"]
    assert bench.last_message.destination.placeholder == WAITING
    assert len(bench.last_message.reply.pictures) == 1


async def test_a_posted_placeholder_is_used_after_a_crash(bench: Bench, tmp_path: Path) -> None:
    bench.platform.will_fail(*[RuntimeError("the network is away")] * 9)
    bench.app.runner.launch = lambda *_: None  # type: ignore[method-assign] # the process dies right after the commit
    await bench.app.dispatcher.handle(make_invocation())
    await bench.close()
    again = await Bench.open(tmp_path, clock=bench.clock, backend=bench.backend)

    await again.wait_until_idle()

    assert again.last_message.destination.placeholder == WAITING
    assert (await again.app.jobs.list_recent(ANA))[0].state is JobState.DELIVERED
    await again.close()


async def test_a_private_request_gets_a_private_message_without_a_report_button(bench: Bench) -> None:
    await bench.app.dispatcher.handle(make_invocation(is_private=True))
    await bench.wait_until_idle()

    assert bench.last_message.reply.is_private
    assert bench.last_message.destination.is_private
    assert "report" not in {button.action for button in bench.last_message.reply.buttons}


async def test_the_job_of_a_message_can_be_found(bench: Bench) -> None:
    await bench.app.dispatcher.handle(make_invocation())
    await bench.wait_until_idle()
    job = (await bench.app.jobs.list_recent(ANA))[0]

    async with bench.app.database.read() as tx:
        found = await tx.messages.find_job("web", "c1", "@original")
        other = await tx.messages.find_job("web", "c2", "@original")

    assert (found, other) == (job.id, None)
