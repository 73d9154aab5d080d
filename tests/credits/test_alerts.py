"""Budgets that run out are told: at 50, 80 and 100 %, once, whichever process notices."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.errors import BudgetExceeded
from bot.core.people import User
from bot.credits.formatting import format_alert
from bot.credits.limits import USER_MONTH, WORKSPACE_MONTH
from bot.credits.pricing import CreditFormatter
from tests.credits.bench import OWNER, WORKSPACE_TARGET, CreditsBench
from tests.fakes.samples import ANA

PEOPLE = [User("web", "page", f"p{n}", f"P{n}") for n in range(10)]


def percents(*towns: CreditsBench, scope: str = "workspace") -> list[int]:
    return sorted(alert.percent for town in towns for alert in town.alerts if alert.scope == scope)


async def test_a_workspaces_budget_is_told_at_half_at_eighty_and_at_its_end(town: CreditsBench) -> None:
    await town.set_budget(100)
    seen = []
    for _ in range(10):
        await town.spend(ANA, 10)
        await town.wait_for_alerts()
        seen.append(percents(town))

    assert seen == [[], [], [], [], [50], [50], [50], [50, 80], [50, 80], [50, 80, 100]]
    assert (town.alerts[0].platform, town.alerts[0].workspace, town.alerts[0].spent_micros) == ("web", "page", 50)


async def test_the_bots_budget_is_the_owners_to_hear_of(town: CreditsBench) -> None:
    await town.set_bot_budget(100)

    await town.spend(ANA, 85)
    await town.wait_for_alerts()

    assert percents(town, scope="bot") == [80]
    assert percents(town) == []


async def test_what_is_held_and_given_back_tells_nothing(town: CreditsBench) -> None:
    await town.set_budget(100)
    row = await town.submit(ANA, 100)
    await town.close_job(row, 0)
    await town.wait_for_alerts()

    assert town.alerts == []


async def test_an_ask_that_finds_no_room_near_the_end_says_that_the_budget_is_spent(town: CreditsBench) -> None:
    await town.set_budget(90)
    await town.spend(ANA, 75)
    await town.wait_for_alerts()

    with pytest.raises(BudgetExceeded):
        await town.submit(ANA, 20)
    await town.wait_for_alerts()

    assert percents(town) == [80, 100]


async def test_a_dear_ask_early_in_the_month_says_nothing(town: CreditsBench) -> None:
    await town.set_budget(50)

    assert await town.try_to_submit(ANA, 60) is None
    await town.wait_for_alerts()

    assert town.alerts == []


async def test_many_processes_at_once_tell_once(town: CreditsBench) -> None:
    await town.set_budget(100)
    towns = [town, *(CreditsBench(town.database, clock=town.clock) for _ in range(4))]

    await asyncio.gather(*(towns[n % 5].spend(person, 10) for n, person in enumerate(PEOPLE)))
    for one in towns:
        await one.wait_for_alerts()

    told = percents(*towns)
    assert told[-1] == 100
    assert len(told) == len(set(told))


async def test_nothing_is_told_again_after_a_restart(town: CreditsBench) -> None:
    await town.set_budget(100)
    await town.spend(ANA, 60)
    await town.wait_for_alerts()

    town.restart()
    await town.spend(ANA, 5)
    await town.wait_for_alerts()

    assert percents(town) == [50]


async def test_each_month_and_each_new_limit_begin_anew(town: CreditsBench) -> None:
    await town.set_budget(100)
    await town.spend(ANA, 60)
    await town.wait_for_alerts()
    await town.set_budget(110)
    await town.spend(ANA, 1)
    await town.wait_for_alerts()
    assert [(alert.limit_micros, alert.percent) for alert in town.alerts] == [(100, 50), (110, 50)]

    town.clock.pass_time(timedelta(days=15))
    await town.spend(ANA, 60)
    await town.wait_for_alerts()

    assert [alert.percent for alert in town.alerts] == [50, 50, 50]


async def test_a_run_that_ends_next_month_says_nothing_of_the_last(town: CreditsBench) -> None:
    await town.set_budget(100)
    row = await town.submit(ANA, 90)
    town.clock.pass_time(timedelta(days=15))

    await town.close_job(await town.start_run(row), 90)
    await town.wait_for_alerts()

    assert town.alerts == []


async def test_a_budget_that_nobody_limits_says_nothing(town: CreditsBench) -> None:
    await town.set_budget(100)
    row = await town.submit(ANA, 90)
    await town.set_budget(None)

    await town.close_job(await town.start_run(row), 90)
    await town.wait_for_alerts()

    assert town.alerts == []


async def test_who_cannot_be_told_stops_nobody(town: CreditsBench, caplog: pytest.LogCaptureFixture) -> None:
    town.failure = ConnectionError("the platform is away")
    await town.set_budget(100)

    await town.spend(ANA, 60)
    await town.wait_for_alerts()

    assert "alert.failed" in caplog.messages


@pytest.mark.parametrize(
    ("percent", "scope", "told"),
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
async def test_it_is_told_in_words(town: CreditsBench, percent: int, scope: str, told: str) -> None:
    await town.set_budget(100)
    await town.spend(ANA, 85)
    await town.wait_for_alerts()

    alert = replace(town.alerts[0], percent=percent, scope=scope, time_zone="Europe/Berlin")

    assert format_alert(alert, CreditFormatter(1)) == told


async def test_somebodys_own_limit_says_nothing_of_the_workspaces_budget(town: CreditsBench) -> None:
    await town.set_budget(100)
    await town.set_person(ANA, {USER_MONTH: 60})
    await town.spend(ANA, 45)
    await town.credits.change(WORKSPACE_TARGET, {WORKSPACE_MONTH: 50}, OWNER)
    await town.wait_for_alerts()
    town.alerts.clear()

    with pytest.raises(BudgetExceeded, match="Your budget"):
        await town.submit(ANA, 20)
    await town.wait_for_alerts()

    assert town.alerts == []
