"""The Delete button: permission to press, data deleted, and data kept."""

from dataclasses import replace

from bot.core.jobs import JobState
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, MODERATOR


async def test_deleting_a_result_removes_message_and_file_but_not_the_price(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    message, job = bench.last_message, await bench.get_job()
    sha256 = message.reply.pictures[0].sha256

    assert await bench.press("delete") is None

    assert message.ref.id not in bench.platform.messages
    assert bench.app.media.find_path(sha256) is None
    assert await bench.app.jobs.list_outputs(job) == []
    assert (await bench.get_job(job.id)).state is JobState.DELIVERED
    assert await bench.balance() < bench.starting_credits


async def test_a_file_shared_with_another_job_stays_until_the_last_is_deleted(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    first = bench.last_message
    await bench.say("/imagine a hen")
    second = bench.last_message
    sha256 = first.reply.pictures[0].sha256
    assert second.reply.pictures[0].sha256 == sha256

    await bench.press("delete", on=first)
    after_one = bench.app.media.find_path(sha256)
    await bench.press("delete", on=second)

    assert after_one is not None
    assert list(bench.platform.messages) == []


async def test_only_the_requester_and_moderators_can_delete(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=ANA)
    message = bench.last_message

    refused = await bench.press("delete", by=BEN)

    assert refused is not None
    assert refused.text == "Only the person who asked, or a moderator, can delete this."
    assert message.ref.id in bench.platform.messages
    assert await bench.press("delete", by=MODERATOR) is None
    assert message.ref.id not in bench.platform.messages


async def test_deleting_a_running_job_cancels_the_run(bench: Bench) -> None:
    bench.backend.will(hangs_after=1)
    await bench.say("/chat tell me everything")
    message, job = bench.last_message, await bench.get_job()
    button = message.reply.buttons[0]
    assert button.action == "cancel"

    await bench.app.jobs.delete(job, ANA, message.ref)
    await bench.wait_until_idle()

    closed = await bench.get_job(job.id)
    assert (closed.state, bench.backend.cancelled) == (JobState.CANCELLED, [bench.backend.last_run.id])
    assert bench.platform.messages == {}
    assert await bench.list_open_holds() == []


async def test_a_copy_made_by_show_is_deleted_too(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    destination = replace(bench.last_message.destination, nonce="a copy")
    copy = await bench.platform.post(destination, bench.last_message.reply)

    await bench.app.jobs.delete(job, ANA, copy)

    assert bench.platform.messages == {}
