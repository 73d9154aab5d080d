"""Failed runs are free for the person, and counted: for the workspace, in `/quota top`, and up to a bound a day."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.backend import RunMetrics
from bot.core.errors import LimitReached
from bot.core.jobs import JobState
from bot.core.people import User
from bot.core.replies import Tone
from bot.credits.ledger import verify_ledger
from bot.credits.limits import DefaultLimits
from tests.bench import Bench
from tests.credits.bench import OWNER as CREDITS_OWNER
from tests.credits.bench import CreditsBench
from tests.fakes.backend import TRANSIENT_ERROR
from tests.fakes.samples import ANA, BEN, MODERATOR, OWNER, get_text

HALF_A_MINUTE = RunMetrics(predict_seconds=30.0)
COST = 29_250
"""Micros of half a minute of SDXL."""
SDXL = "/imagine a fox --model sdxl"


async def fail(bench: CreditsBench, user: User, cost: int, amount: int = 20) -> None:
    """Run and fail a job at a cost for the owner."""
    await bench.close_job(await bench.start_run(await bench.submit(user, amount)), cost, JobState.FAILED)


async def verify(bench: CreditsBench) -> None:
    await bench.wait_for_alerts()
    assert (await verify_ledger(bench.database, bench.clock.now())).discrepancies == ()


# The workspace's budget.


async def test_a_failed_run_counts_against_the_workspaces_budget(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(50)

    await fail(credits_bench, ANA, 15)
    await fail(credits_bench, BEN, 31)

    status = await credits_bench.credits.get_workspace_budget_status("web", "page")
    assert (status.spent_micros, status.held_micros) == (46, 0)
    assert await credits_bench.try_to_submit(ANA, 5) is None
    assert await credits_bench.try_to_submit(ANA, 4) is not None
    await verify(credits_bench)


async def test_failed_runs_before_there_was_a_budget_count(credits_bench: CreditsBench) -> None:
    await fail(credits_bench, ANA, 15)
    before = await credits_bench.credits.get_workspace_budget_status("web", "page")
    await credits_bench.set_budget(50)

    await credits_bench.spend(BEN, 10)

    after = await credits_bench.credits.get_workspace_budget_status("web", "page")
    assert (before.spent_micros, after.spent_micros) == (15, 25)
    await verify(credits_bench)


async def test_both_runs_of_a_retried_job_count(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(500)
    row = await credits_bench.retry_run(await credits_bench.start_run(await credits_bench.submit(ANA, 20)), 8)
    await credits_bench.close_job(row, 9, JobState.FAILED)

    status = await credits_bench.credits.get_workspace_budget_status("web", "page")

    assert status.spent_micros == 17
    assert [s.failed_micros for s in await credits_bench.credits.list_spenders(ANA, 10)] == [17]
    await verify(credits_bench)


async def test_a_workspace_hears_of_a_budget_that_failed_runs_spent(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(30)

    await fail(credits_bench, ANA, 16)
    await credits_bench.wait_for_alerts()

    assert [(alert.scope, alert.percent) for alert in credits_bench.alerts] == [("workspace", 50)]


async def test_an_overrun_of_a_delivered_run_stays_the_owners(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(500)

    await credits_bench.close_job(await credits_bench.start_run(await credits_bench.submit(ANA, 20)), 60)

    assert (await credits_bench.credits.get_workspace_budget_status("web", "page")).spent_micros == 20
    assert [s.failed_micros for s in await credits_bench.credits.list_spenders(ANA, 10)] == [0]
    await verify(credits_bench)


# The overview.


async def test_top_names_the_people_of_failed_runs(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)
    bench.backend.will(error="out of memory", metrics=HALF_A_MINUTE)
    for _ in range(2):
        await bench.say(SDXL)

    text = get_text(await bench.say("/quota top", by=MODERATOR))

    assert text.splitlines() == [
        "Spent this month:",
        "1. Ana: **0** credits, 0 jobs, and 2 failed runs for 58.5 credits at the bot's cost",
        "2. Ben: **3** credits, 1 job",
    ]
    assert await bench.balance() == bench.starting_credits


async def test_top_finds_a_person_whose_spending_alone_is_below_the_others(credits_bench: CreditsBench) -> None:
    await credits_bench.spend(ANA, 5)
    await credits_bench.spend(BEN, 10)
    await fail(credits_bench, ANA, 30)

    (first,) = await credits_bench.credits.list_spenders(ANA, 1)

    assert (first.id, first.jobs, first.spent_micros, first.failed_runs, first.failed_micros) == ("ana", 1, 5, 1, 30)


async def test_the_first_run_of_a_retried_job_is_named_too(bench: Bench) -> None:
    bench.backend.will(error=TRANSIENT_ERROR, metrics=HALF_A_MINUTE)

    await bench.say(SDXL)
    bench.backend.will(error="", metrics=HALF_A_MINUTE)
    await bench.advance_time(6)

    assert bench.last_message.reply.tone is Tone.DONE
    assert "1 failed run for 29.2 credits" in get_text(await bench.say("/quota top", by=MODERATOR))


async def test_the_workspaces_budget_in_the_chat_includes_failed_runs(bench: Bench) -> None:
    await bench.say("/quota budget set 100", by=OWNER)
    bench.backend.will(error="out of memory", metrics=HALF_A_MINUTE)
    await bench.say(SDXL)

    shown = get_text(await bench.say("/quota budget show", by=MODERATOR))

    assert shown.startswith("This workspace spent 29.2 of 100 credits this month.")


# The bound.


async def test_a_person_whose_failed_runs_cost_the_bound_waits(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, failed_runs_credits=50)
    bench.backend.will(error="out of memory", metrics=HALF_A_MINUTE)
    for _ in range(6):
        reply = await bench.say(SDXL)

    assert len(bench.backend.runs) == 2
    assert get_text(reply) == (
        "Your failed runs cost 58.5 credits today: wait until Friday at 00:00 UTC, or ask a moderator."
    )
    assert await bench.get_bot_spent_micros() == 2 * COST

    bench.backend.will(error="", metrics=HALF_A_MINUTE)
    await bench.say(SDXL, by=BEN)
    assert bench.last_message.reply.tone is Tone.DONE
    await bench.close()


async def test_a_moderator_lets_the_person_go_on(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, failed_runs_credits=20)
    bench.backend.will(error="out of memory", metrics=HALF_A_MINUTE)
    await bench.say(SDXL)
    refused = await bench.say(SDXL)

    await bench.say("/quota reset ana", by=MODERATOR)
    bench.backend.will(error="", metrics=HALF_A_MINUTE)
    await bench.say(SDXL)

    assert "ask a moderator" in get_text(refused)
    assert bench.last_message.reply.tone is Tone.DONE
    # The owner paid the run all the same.
    assert "1 failed run" in get_text(await bench.say("/quota top", by=MODERATOR))
    await bench.close()


@pytest.fixture
def bounded_bench(credits_bench: CreditsBench) -> CreditsBench:
    credits_bench.defaults = DefaultLimits(failed_runs_day_micros=30)
    credits_bench.restart()
    return credits_bench


async def test_the_next_day_begins_anew(bounded_bench: CreditsBench) -> None:
    await fail(bounded_bench, ANA, 30)
    with pytest.raises(LimitReached, match="Your failed runs cost 30 credits today"):
        await bounded_bench.submit(ANA, 5)

    bounded_bench.clock.pass_time(timedelta(days=1))

    assert await bounded_bench.try_to_submit(ANA, 5) is not None


async def test_another_workspace_is_no_way_around_the_bound(bounded_bench: CreditsBench) -> None:
    elsewhere = replace(ANA, workspace="other")
    await fail(bounded_bench, ANA, 20)
    await fail(bounded_bench, elsewhere, 20)

    assert await bounded_bench.try_to_submit(ANA, 5) is None
    assert await bounded_bench.try_to_submit(elsewhere, 5) is None
    # A moderator forgives the failed runs of the own workspace alone: the rest is below the bound.
    await bounded_bench.credits.wallets.reset(CREDITS_OWNER, ANA, with_month=False, request_key="web:r1")
    assert await bounded_bench.try_to_submit(elsewhere, 5) is not None
    await verify(bounded_bench)


async def test_a_job_without_a_price_is_not_bound(bounded_bench: CreditsBench) -> None:
    await fail(bounded_bench, ANA, 30)

    assert await bounded_bench.try_to_submit(ANA, 0) is not None
