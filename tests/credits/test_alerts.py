"""Budgets that run out are told: at 50, 80 and 100 %, once, whichever process notices."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.errors import BudgetSpent
from bot.core.people import User
from bot.credits.limits import USER_MONTH, WORKSPACE_MONTH
from bot.credits.pricing import CreditForm
from bot.credits.telling import alert_told
from tests.credits.town import HERE, OWNER, Town
from tests.fakes.rows import ANA

PEOPLE = [User("web", "page", f"p{n}", f"P{n}") for n in range(10)]


def percents(*towns: Town, scope: str = "workspace") -> list[int]:
    return sorted(alert.percent for town in towns for alert in town.told if alert.scope == scope)


async def test_a_workspaces_budget_is_told_at_half_at_eighty_and_at_its_end(town: Town) -> None:
    await town.set_budget(100)
    seen = []
    for _ in range(10):
        await town.spend(ANA, 10)
        await town.rest()
        seen.append(percents(town))

    assert seen == [[], [], [], [], [50], [50], [50], [50, 80], [50, 80], [50, 80, 100]]
    assert (town.told[0].platform, town.told[0].workspace, town.told[0].spent) == ("web", "page", 50)


async def test_the_bots_budget_is_the_owners_to_hear_of(town: Town) -> None:
    await town.set_bot_budget(100)

    await town.spend(ANA, 85)
    await town.rest()

    assert percents(town, scope="bot") == [80]
    assert percents(town) == []


async def test_what_is_held_and_given_back_tells_nothing(town: Town) -> None:
    await town.set_budget(100)
    row = await town.ask(ANA, 100)
    await town.end(row, 0)
    await town.rest()

    assert town.told == []


async def test_an_ask_that_finds_no_room_near_the_end_says_that_the_budget_is_spent(town: Town) -> None:
    await town.set_budget(90)
    await town.spend(ANA, 75)
    await town.rest()

    with pytest.raises(BudgetSpent):
        await town.ask(ANA, 20)
    await town.rest()

    assert percents(town) == [80, 100]


async def test_a_dear_ask_early_in_the_month_says_nothing(town: Town) -> None:
    await town.set_budget(50)

    assert await town.try_to_ask(ANA, 60) is None
    await town.rest()

    assert town.told == []


async def test_many_processes_at_once_tell_once(town: Town) -> None:
    await town.set_budget(100)
    towns = [town, *(Town(town.database, clock=town.clock) for _ in range(4))]

    await asyncio.gather(*(towns[n % 5].spend(person, 10) for n, person in enumerate(PEOPLE)))
    for one in towns:
        await one.rest()

    told = percents(*towns)
    assert told[-1] == 100
    assert len(told) == len(set(told))


async def test_nothing_is_told_again_after_a_restart(town: Town) -> None:
    await town.set_budget(100)
    await town.spend(ANA, 60)
    await town.rest()

    town.restart()
    await town.spend(ANA, 5)
    await town.rest()

    assert percents(town) == [50]


async def test_each_month_and_each_new_limit_begin_anew(town: Town) -> None:
    await town.set_budget(100)
    await town.spend(ANA, 60)
    await town.rest()
    await town.set_budget(110)
    await town.spend(ANA, 1)
    await town.rest()
    assert [(alert.limit, alert.percent) for alert in town.told] == [(100, 50), (110, 50)]

    town.clock.pass_time(timedelta(days=15))
    await town.spend(ANA, 60)
    await town.rest()

    assert [alert.percent for alert in town.told] == [50, 50, 50]


async def test_a_run_that_ends_next_month_says_nothing_of_the_last(town: Town) -> None:
    await town.set_budget(100)
    row = await town.ask(ANA, 90)
    town.clock.pass_time(timedelta(days=15))

    await town.end(await town.run(row), 90)
    await town.rest()

    assert town.told == []


async def test_a_budget_that_nobody_limits_says_nothing(town: Town) -> None:
    await town.set_budget(100)
    row = await town.ask(ANA, 90)
    await town.set_budget(None)

    await town.end(await town.run(row), 90)
    await town.rest()

    assert town.told == []


async def test_who_cannot_be_told_stops_nobody(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    town.failure = ConnectionError("the platform is away")
    await town.set_budget(100)

    await town.spend(ANA, 60)
    await town.rest()

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
async def test_it_is_told_in_words(town: Town, percent: int, scope: str, told: str) -> None:
    await town.set_budget(100)
    await town.spend(ANA, 85)
    await town.rest()

    alert = replace(town.told[0], percent=percent, scope=scope, time_zone="Europe/Berlin")

    assert alert_told(alert, CreditForm(1)) == told


async def test_somebodys_own_limit_says_nothing_of_the_workspaces_budget(town: Town) -> None:
    await town.set_budget(100)
    await town.set_person(ANA, {USER_MONTH: 60})
    await town.spend(ANA, 45)
    await town.credits.change(HERE, {WORKSPACE_MONTH: 50}, OWNER)
    await town.rest()
    town.told.clear()

    with pytest.raises(BudgetSpent, match="Your budget"):
        await town.ask(ANA, 20)
    await town.rest()

    assert town.told == []
