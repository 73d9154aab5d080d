"""Lost, doubled, late, reordered and forged webhooks: one picture, paid once."""

import logging

import pytest
import sqlalchemy as sa

from bot.storage.tables.jobs import inbox
from tests.faults.bench import FaultBench

PICTURE = 3_000


def count_notices(bench: FaultBench) -> int:
    """Return the number of webhooks in the inbox."""
    engine = sa.create_engine(bench.app.settings.database_address)
    with engine.connect() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(inbox)).scalar_one()
    engine.dispose()
    return int(count)


@pytest.mark.parametrize(
    "fault", ["", "fault:webhook-lost", "fault:webhook-doubled", "fault:webhook-reordered", "fault:webhook-forged"]
)
async def test_a_picture_arrives_and_is_paid_once(public_bench: FaultBench, fault: str) -> None:
    await public_bench.run(f"/imagine a fox {fault}")

    (picture,) = public_bench.last.reply.pictures
    assert (picture.width, picture.height) == (1024, 1024)
    assert await public_bench.spent_micros() == PICTURE
    assert len(public_bench.predictions) == 1


async def test_a_webhook_brings_the_end_and_a_doubled_webhook_is_stored_once(public_bench: FaultBench) -> None:
    await public_bench.run("/imagine a fox fault:webhook-doubled")
    await public_bench.wait_until(lambda: count_notices(public_bench) > 0)

    assert count_notices(public_bench) <= 2  # of four calls: the start and the end
    assert await public_bench.spent_micros() == PICTURE


async def test_a_lost_webhook_delays_a_picture_by_seconds(public_bench: FaultBench) -> None:
    await public_bench.ask("/imagine a fox fault:webhook-lost")
    await public_bench.wait_until(lambda: [str(run.status) for run in public_bench.predictions] == ["succeeded"], 0)
    ended_at = public_bench.clock.monotonic()

    await public_bench.wait_until_done(0.1)

    assert public_bench.clock.monotonic() - ended_at < 15
    assert await public_bench.spent_micros() == PICTURE


async def test_a_late_webhook_finds_everything_done(public_bench: FaultBench) -> None:
    await public_bench.run("/imagine a fox fault:webhook-late=20")
    history = len(public_bench.last.history)

    await public_bench.wait_until(lambda: count_notices(public_bench) > 0)

    assert len(public_bench.last.history) == history
    assert await public_bench.spent_micros() == PICTURE


async def test_a_forged_webhook_is_refused_and_its_address_never_fetched(
    public_bench: FaultBench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await public_bench.run("/imagine a fox fault:webhook-forged")

    refused = [record for record in caplog.records if record.getMessage() == "replicate.webhook_refused"]
    assert [record.__dict__["status"] for record in refused][:1] == [403]
    assert public_bench.last.reply.pictures
    assert await public_bench.spent_micros() == PICTURE


async def test_a_create_whose_reply_is_lost_is_adopted_by_its_webhook(public_bench: FaultBench) -> None:
    asked_at = public_bench.clock.monotonic()

    await public_bench.ask("/imagine a fox fault:500")
    await public_bench.wait_until_done(0.01)

    assert public_bench.clock.monotonic() - asked_at < 10  # the ten seconds of grace were not needed
    assert public_bench.last.reply.pictures
    assert await public_bench.spent_micros() == PICTURE
    assert len(public_bench.predictions) == 1


async def test_text_is_streamed_beside_its_webhooks(public_bench: FaultBench) -> None:
    text = await public_bench.run("/chat fault:webhook-lost What is MONTHLY_BUDGET_USD for?")

    assert len(text) > 100
    assert await public_bench.spent_micros() > 0
