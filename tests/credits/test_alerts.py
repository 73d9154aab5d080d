"""Budget alerts: at 50, 80 and 100 %, once for all processes."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.errors import BudgetExceeded
from bot.core.people import User
from bot.credits.alerts import format_alert
from bot.credits.limits import USER_MONTH, WORKSPACE_MONTH
from bot.credits.pricing import CreditFormatter
from tests.credits.bench import OWNER, WORKSPACE_TARGET, CreditsBench
from tests.fakes.samples import ANA

PEOPLE = [User("web", "page", f"p{n}", f"P{n}") for n in range(10)]


def list_percents(*benches: CreditsBench, scope: str = "workspace") -> list[int]:
    return sorted(alert.percent for bench in benches for alert in bench.alerts if alert.scope == scope)


async def test_a_workspace_budget_alerts_at_50_80_and_100_percent(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    seen = []
    for _ in range(10):
        await credits_bench.spend(ANA, 10)
        await credits_bench.wait_for_alerts()
        seen.append(list_percents(credits_bench))

    assert seen == [[], [], [], [], [50], [50], [50], [50, 80], [50, 80], [50, 80, 100]]
    assert (
        credits_bench.alerts[0].platform,
        credits_bench.alerts[0].workspace,
        credits_bench.alerts[0].spent_micros,
    ) == ("web", "page", 50)


async def test_the_bots_budget_alerts_the_owner_only(credits_bench: CreditsBench) -> None:
    await credits_bench.set_bot_budget(100)

    await credits_bench.spend(ANA, 85)
    await credits_bench.wait_for_alerts()

    assert list_percents(credits_bench, scope="bot") == [80]
    assert list_percents(credits_bench) == []


async def test_a_released_hold_sends_no_alert(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    row = await credits_bench.submit(ANA, 100)
    await credits_bench.close_job(row, 0)
    await credits_bench.wait_for_alerts()

    assert credits_bench.alerts == []


async def test_a_refused_hold_above_80_percent_counts_as_100_percent(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(90)
    await credits_bench.spend(ANA, 75)
    await credits_bench.wait_for_alerts()

    with pytest.raises(BudgetExceeded):
        await credits_bench.submit(ANA, 20)
    await credits_bench.wait_for_alerts()

    assert list_percents(credits_bench) == [80, 100]


async def test_a_refused_hold_below_80_percent_sends_no_alert(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(50)

    assert await credits_bench.try_to_submit(ANA, 60) is None
    await credits_bench.wait_for_alerts()

    assert credits_bench.alerts == []


async def test_simultaneous_processes_send_each_alert_once(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    benches = [credits_bench, *(CreditsBench(credits_bench.database, clock=credits_bench.clock) for _ in range(4))]

    await asyncio.gather(*(benches[n % 5].spend(person, 10) for n, person in enumerate(PEOPLE)))
    for bench in benches:
        await bench.wait_for_alerts()

    percents = list_percents(*benches)
    assert percents[-1] == 100
    assert len(percents) == len(set(percents))


async def test_a_restart_repeats_no_alert(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    await credits_bench.spend(ANA, 60)
    await credits_bench.wait_for_alerts()

    credits_bench.restart()
    await credits_bench.spend(ANA, 5)
    await credits_bench.wait_for_alerts()

    assert list_percents(credits_bench) == [50]


async def test_a_new_month_and_a_new_limit_alert_again(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    await credits_bench.spend(ANA, 60)
    await credits_bench.wait_for_alerts()
    await credits_bench.set_budget(110)
    await credits_bench.spend(ANA, 1)
    await credits_bench.wait_for_alerts()
    assert [(alert.limit_micros, alert.percent) for alert in credits_bench.alerts] == [(100, 50), (110, 50)]

    credits_bench.clock.pass_time(timedelta(days=15))
    await credits_bench.spend(ANA, 60)
    await credits_bench.wait_for_alerts()

    assert [alert.percent for alert in credits_bench.alerts] == [50, 50, 50]


async def test_a_run_that_ends_next_month_sends_no_alert_for_the_last_month(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    row = await credits_bench.submit(ANA, 90)
    credits_bench.clock.pass_time(timedelta(days=15))

    await credits_bench.close_job(await credits_bench.start_run(row), 90)
    await credits_bench.wait_for_alerts()

    assert credits_bench.alerts == []


async def test_a_budget_without_a_limit_sends_no_alert(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    row = await credits_bench.submit(ANA, 90)
    await credits_bench.set_budget(None)

    await credits_bench.close_job(await credits_bench.start_run(row), 90)
    await credits_bench.wait_for_alerts()

    assert credits_bench.alerts == []


async def test_a_failing_alert_is_logged_and_stops_no_job(
    credits_bench: CreditsBench, caplog: pytest.LogCaptureFixture
) -> None:
    credits_bench.failure = ConnectionError("the platform is away")
    await credits_bench.set_budget(100)

    await credits_bench.spend(ANA, 60)
    await credits_bench.wait_for_alerts()

    assert "alert.failed" in caplog.messages


@pytest.mark.parametrize(
    ("percent", "scope", "expected"),
    [
        (
            80,
            "workspace",
            "This workspace's monthly budget is spent to 80 %: 85 of 100 credits. "
            "It refills on 01 December at 01:00 (Europe/Berlin).",
        ),
        (
            100,
            "bot",
            "The bot's monthly budget is spent: 85 of 100 credits. Nothing that costs more than what is left can be "
            "asked until it refills on 01 December at 01:00 (Europe/Berlin), or is raised: `/quota budget set`.",
        ),
    ],
)
async def test_an_alert_names_percent_amounts_and_refill(
    credits_bench: CreditsBench, percent: int, scope: str, expected: str
) -> None:
    await credits_bench.set_budget(100)
    await credits_bench.spend(ANA, 85)
    await credits_bench.wait_for_alerts()

    alert = replace(credits_bench.alerts[0], percent=percent, scope=scope, time_zone="Europe/Berlin")

    assert format_alert(alert, CreditFormatter(1)) == expected


async def test_a_users_own_limit_sends_no_alert_for_the_workspace_budget(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    await credits_bench.set_person(ANA, {USER_MONTH: 60})
    await credits_bench.spend(ANA, 45)
    await credits_bench.credits.change(WORKSPACE_TARGET, {WORKSPACE_MONTH: 50}, OWNER)
    await credits_bench.wait_for_alerts()
    credits_bench.alerts.clear()

    with pytest.raises(BudgetExceeded, match="Your budget"):
        await credits_bench.submit(ANA, 20)
    await credits_bench.wait_for_alerts()

    assert credits_bench.alerts == []
