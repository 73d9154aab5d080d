"""The ledger with runs above their hold, lost runs, runs into the next month, and grants delivered twice."""

import asyncio
from pathlib import Path

import pytest

from bot.core.backend import RunMetrics
from bot.core.errors import BackendRefusedToken
from bot.core.people import User
from bot.core.replies import Reply, Tone
from bot.credits.ledger import Ledger
from bot.credits.limits import UserLimits
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Database
from tests.bench import Bench
from tests.conftest import WITH_SCHEMA
from tests.fakes.failing_calls import fail_next_calls
from tests.fakes.samples import ANA, NOW, make_job
from tests.postgres import PostgresServer
from tests.storage.raw import list_jobs_with_open_holds

BOB = User("web", "page", "bob", "Bob")
OWNER = User("web", "page", "owner", "You", is_administrator=True)
PLENTY = UserLimits(10**9, 10**9)
OVERRUN = RunMetrics(predict_seconds=100.0)
"""A run of SDXL above its hold of 60 seconds, 58,500 micros."""
OVERRUN_MICROS = 97_500


def read_text(reply: Reply | None) -> str:
    assert reply is not None
    return reply.text


# Costs of the owner.


async def test_an_overrun_stays_counted_after_the_next_request(bench: Bench) -> None:
    bench.backend.will(metrics=OVERRUN)
    await bench.say("/imagine a fox --model sdxl")
    at_first = await bench.get_bot_spent_micros()
    bench.backend.will(metrics=RunMetrics(predict_seconds=0.0))

    await bench.say("/imagine a fox --model sdxl", by=BOB)

    assert bench.last_message.reply.tone is Tone.DONE
    assert (at_first, await bench.get_bot_spent_micros()) == (OVERRUN_MICROS, OVERRUN_MICROS)


async def test_an_overrun_that_ends_in_the_next_month_is_counted(bench: Bench) -> None:
    await bench.clock.advance(31 * 86_400 - 5)
    bench.backend.will(metrics=OVERRUN, hangs_after=0)
    await bench.say("/imagine a fox --model sdxl")
    await bench.clock.advance(10)

    bench.backend.last_run.released.set()
    await bench.wait_until_idle()

    assert bench.clock.now().month == 2
    assert await read_spent_micros(bench, "2026-01") + await read_spent_micros(bench, "2026-02") == OVERRUN_MICROS


async def read_spent_micros(bench: Bench, month: str) -> int:
    """Return the owner's spending of a month, in micros."""
    async with bench.app.database.read() as tx:
        account = await tx.ledger.get_account(f"budget:bot:{month}")
    return account.granted_micros - account.available_micros if account else 0


async def test_a_paid_run_with_lost_output_counts_against_the_bot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_next_calls(monkeypatch, bench.app.media, "take_output", OSError(28, "No space left on device"))

    await bench.say("/imagine a fox")

    assert len(bench.backend.runs) == 1
    assert await bench.balance() == bench.starting_credits
    assert await bench.get_bot_spent_micros() == 3_000


async def test_a_run_that_cannot_be_watched_counts_against_the_bot(bench: Bench) -> None:
    bench.backend.watch_errors = [BackendRefusedToken("no token")]

    await bench.say("/imagine a fox")

    assert len(bench.backend.runs) == 1
    assert await bench.balance() == bench.starting_credits
    assert await bench.get_bot_spent_micros() == 3_000


# Grants.


async def test_a_user_refused_without_credits_can_be_granted_credits(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=0)
    await bench.say("/imagine a fox", by=BOB)

    reply = await bench.say("/quota grant bob 100", by=OWNER)

    assert bench.backend.runs == {}
    assert "got 100" in read_text(reply)
    await bench.close()


async def test_an_amount_may_have_thousands_separators(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BOB)

    reply = await bench.say("/quota grant bob 1,000", by=OWNER)

    assert "1,000 credits" in read_text(reply)
    assert await bench.balance(BOB) == bench.starting_credits - 3_000 + 1_000_000


async def test_a_grant_delivered_twice_is_made_once_and_confirmed_twice(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BOB)
    first = await bench.say("/quota grant bob 10", by=OWNER, key="web:g1")

    second = await bench.say("/quota grant bob 10", by=OWNER, key="web:g1")

    assert "Bob got 10 credits" in read_text(first)
    assert "broke" not in read_text(second)
    assert await bench.balance(BOB) == bench.starting_credits - 3_000 + 10_000


async def test_a_name_of_two_users_grants_to_neither(bench: Bench) -> None:
    real, false = User("web", "page", "u1", "Carol"), User("web", "page", "u2", "carol")
    await bench.say("/imagine a fox", by=real)
    await bench.advance_time(1)
    await bench.say("/imagine a fox", by=false)
    before = (await bench.balance(real), await bench.balance(false))

    reply = await bench.say("/quota grant Carol 10", by=OWNER)

    assert "got" not in read_text(reply)
    assert (await bench.balance(real), await bench.balance(false)) == before


# Concurrency.


@pytest.mark.postgres
async def test_simultaneous_requests_and_settlements_of_a_user_do_not_deadlock(
    postgres_with_schema: PostgresServer,
) -> None:
    await postgres_with_schema.delete_rows(WITH_SCHEMA)
    database = Database(postgres_with_schema.url(WITH_SCHEMA))
    await database.open()
    ledger = Ledger(CreditFormatter(1))

    async def submit_and_settle() -> None:
        row = make_job(user=ANA)
        async with database.write() as tx:
            await tx.jobs.add(row)
            accounts = await ledger.open_accounts(tx, ANA, PLENTY, NOW)
            await ledger.hold_on_accounts(tx, accounts, row.id, ANA, 5, PLENTY, NOW)
        async with database.write() as tx:
            await ledger.settle(tx, row.id, 3, NOW)

    async def repeat() -> None:
        for _ in range(30):
            await submit_and_settle()

    await submit_and_settle()
    await asyncio.gather(*(repeat() for _ in range(6)))

    assert await list_jobs_with_open_holds(database) == []
    await database.close()
