"""What roles give and limit, in the ledger: at once, once, and never twice."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.errors import BudgetExceeded, LimitReached, OutOfCredits, RequestRefused
from bot.core.people import User
from bot.core.platform_syntax import EVERYONE
from bot.credits import limits
from bot.credits.policies import PolicyTarget
from tests.credits.bench import OWNER, WORKSPACE_TARGET, CreditsBench
from tests.fakes.samples import ANA, CHANNEL

GOLD = replace(ANA, roles=frozenset({"gold"}))
TIN = replace(ANA, roles=frozenset({"tin"}))
ELSEWHERE = replace(ANA, workspace="annex")


async def left(town: CreditsBench, user: User) -> int:
    return (await town.credits.get_statement(user)).today_available_micros


async def test_a_tier_gives_more_at_once(town: CreditsBench) -> None:
    await town.spend(GOLD, 100)
    assert await town.try_to_submit(GOLD, 1) is None

    await town.set_role("gold", {limits.DAILY_ALLOWANCE: 500})

    await town.spend(GOLD, 400)
    assert await town.try_to_submit(GOLD, 1) is None
    assert await left(town, GOLD) == 0


async def test_losing_a_role_and_getting_it_back_gains_nothing(town: CreditsBench) -> None:
    await town.set_role("gold", {limits.DAILY_ALLOWANCE: 150})
    await town.spend(GOLD, 150)

    assert await town.try_to_submit(ANA, 1) is None
    assert await town.try_to_submit(GOLD, 1) is None


async def test_what_a_tier_gives_is_spent_in_its_workspace_only(town: CreditsBench) -> None:
    await town.set_role("gold", {limits.DAILY_ALLOWANCE: 500})

    await town.spend(GOLD, 120)

    assert await left(town, GOLD) == 380
    assert await left(town, ELSEWHERE) == 0


async def test_a_tier_may_give_less_than_everybody_gets(town: CreditsBench) -> None:
    await town.set_role("tin", {limits.DAILY_ALLOWANCE: 30})
    await town.credits.wallets.grant(OWNER, ANA, 20, town.key(), is_owner=True)
    await town.spend(TIN, 25)

    assert await left(town, TIN) == 5
    with pytest.raises(OutOfCredits, match="You are 5 credits short."):
        await town.submit(TIN, 30)
    await town.spend(TIN, 25)
    assert await left(town, ELSEWHERE) == 70


async def test_a_small_tier_counts_what_was_drawn_before_it_was_set(town: CreditsBench) -> None:
    await town.spend(TIN, 25)

    await town.set_role("tin", {limits.DAILY_ALLOWANCE: 30})

    assert await town.try_to_submit(TIN, 6) is None
    await town.spend(TIN, 5)


async def test_a_lowered_tier_takes_what_is_not_spent_yet(town: CreditsBench) -> None:
    await town.set_role("gold", {limits.DAILY_ALLOWANCE: 500})
    await town.spend(GOLD, 300)

    await town.set_role("gold", {limits.DAILY_ALLOWANCE: 200})

    assert await town.try_to_submit(GOLD, 1) is None
    await town.set_role("gold", {limits.DAILY_ALLOWANCE: 310})
    assert await town.try_to_submit(GOLD, 11) is None
    await town.spend(GOLD, 10)


@pytest.mark.parametrize("key", [limits.USER_DAY, limits.USER_MONTH])
async def test_a_limit_counts_what_was_spent_before_it_was_set(town: CreditsBench, key: str) -> None:
    await town.spend(ANA, 60)
    held = await town.submit(ANA, 10)

    await town.set_person(ANA, {key: 75})

    with pytest.raises(BudgetExceeded, match="Your budget has no room for this: 1 credits short."):
        await town.submit(ANA, 6)
    await town.spend(ANA, 5)
    await town.close_job(held, 10)


async def test_a_budget_counts_what_its_workspace_spent_before_it_was_set(town: CreditsBench) -> None:
    await town.spend(ANA, 60)
    await town.spend(replace(ELSEWHERE, id="zoe"), 60)

    await town.set_budget(70)

    assert await town.try_to_submit(replace(ANA, id="ben"), 11) is None
    await town.spend(replace(ANA, id="ben"), 10)


async def test_a_budget_below_what_is_spent_stops_everything_until_it_is_raised(town: CreditsBench) -> None:
    await town.set_budget(100)
    await town.spend(ANA, 60)

    await town.set_budget(50)

    assert await town.try_to_submit(ANA, 1) is None
    assert await town.try_to_submit(ANA, 0) is not None
    await town.set_budget(61)
    await town.spend(ANA, 1)


async def test_jobs_at_once_are_those_that_are_open(town: CreditsBench) -> None:
    await town.set_person(ANA, {limits.AT_ONCE: 2})
    first = await town.submit(ANA, 1)
    await town.submit(ANA, 1)

    with pytest.raises(LimitReached, match="You may have 2 jobs at once. Wait for one to end, or /cancel it."):
        await town.submit(ANA, 1)

    await town.close_job(first, 1)
    await town.submit(ANA, 1)


async def test_a_minute_has_room_for_so_many(town: CreditsBench) -> None:
    await town.set_role(EVERYONE, {limits.PER_MINUTE: 3})
    for _ in range(3):
        await town.submit(ANA, 1)

    with pytest.raises(LimitReached, match="You may ask 3 times a minute. Try again in 20 s."):
        await town.submit(ANA, 1)

    await town.submit(replace(ANA, id="ben"), 1)
    town.clock.pass_time(timedelta(seconds=20))
    await town.submit(ANA, 1)


async def test_a_refused_ask_takes_no_place_in_the_minute(town: CreditsBench) -> None:
    await town.set_person(ANA, {limits.PER_MINUTE: 1})

    assert await town.try_to_submit(ANA, 10**6) is None

    await town.submit(ANA, 1)


@pytest.mark.parametrize("key", [limits.AT_ONCE, limits.PER_MINUTE])
async def test_none_at_all_is_said_so(town: CreditsBench, key: str) -> None:
    await town.set_person(ANA, {key: 0})

    with pytest.raises(LimitReached, match="You may not run anything here at the moment. Ask a moderator."):
        await town.submit(ANA, 0)


async def test_sizes_and_models_are_checked_before_money_is_held(town: CreditsBench) -> None:
    await town.set_role(EVERYONE, {limits.MAX_PIXELS: 1_000_000, limits.MODELS: ["pencil"]})

    with pytest.raises(RequestRefused, match="You may ask for 1,000,000 pixels a picture at most, not 4,194,304."):
        await town.submit(ANA, 1, inputs={"width": 2048, "height": 2048})
    with pytest.raises(RequestRefused, match="at most, not 2,000,000."):
        await town.submit(ANA, 1, inputs={"megapixels": "2"})
    await town.set_role(EVERYONE, {limits.MODELS: ["brush"]})
    with pytest.raises(RequestRefused, match="Pencil is not among the models you may use. You may use brush."):
        await town.submit(ANA, 1)


async def test_a_channel_has_its_own_rules(town: CreditsBench) -> None:
    art = replace(WORKSPACE_TARGET, scope="channel", id=CHANNEL.id)
    await town.credits.change(art, {limits.COMMANDS: ["chat"]}, OWNER)
    with pytest.raises(RequestRefused, match="/imagine is not for this channel. Here you may use /chat."):
        await town.submit(ANA, 1)

    await town.credits.change(art, {limits.COMMANDS: None, limits.MODELS: ["brush"]}, OWNER)

    with pytest.raises(RequestRefused, match="Pencil is not for this channel. Here you may use brush."):
        await town.submit(ANA, 1)
    await town.submit(ANA, 1, channel=replace(CHANNEL, id="c2"))
    assert not await town.credits.is_model_allowed(ANA, CHANNEL, "pencil")
    assert await town.credits.is_model_allowed(ANA, CHANNEL, "brush")


async def test_a_clock_that_jumps_back_finds_the_day_as_it_was_left(town: CreditsBench) -> None:
    await town.spend(ANA, 100)
    town.clock.at = datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC)
    await town.spend(ANA, 40)

    town.clock.pass_time(timedelta(hours=-1))

    assert await town.try_to_submit(ANA, 1) is None
    town.clock.pass_time(timedelta(hours=1))
    assert await left(town, ANA) == 60


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Europe/Berlin", "They refill Saturday at 01:00 (Europe/Berlin)."),
        ("America/New_York", "They refill Friday at 19:00 (America/New_York)."),
        ("Mars/Olympus", "They refill Saturday at 00:00 UTC."),
    ],
)
async def test_refills_are_told_in_the_workspaces_time_zone(town: CreditsBench, zone: str, told: str) -> None:
    await town.credits.change(WORKSPACE_TARGET, {limits.TIME_ZONE: zone}, OWNER)
    await town.spend(ANA, 100)

    with pytest.raises(OutOfCredits) as caught:
        await town.submit(ANA, 1)

    assert told in str(caught.value)


async def test_summer_time_moves_the_hour_that_is_told(town: CreditsBench) -> None:
    await town.credits.change(WORKSPACE_TARGET, {limits.TIME_ZONE: "Europe/Berlin"}, OWNER)
    town.clock.at = datetime(2027, 3, 28, 12, tzinfo=UTC)
    await town.spend(ANA, 100)

    with pytest.raises(OutOfCredits, match=r"They refill Monday at 02:00 \(Europe/Berlin\)."):
        await town.submit(ANA, 1)


async def test_a_reset_forgives_what_was_spent_here_and_no_more(town: CreditsBench) -> None:
    await town.spend(ANA, 30)
    await town.spend(ELSEWHERE, 20)
    wallets = town.credits.wallets

    forgiven = await wallets.reset(OWNER, ANA, with_month=False, request_key="r1")
    again = await wallets.reset(OWNER, ANA, with_month=False, request_key="r1")
    another = await wallets.reset(OWNER, ANA, with_month=False, request_key="r2")

    assert (forgiven, again, another) == (30, 0, 0)
    assert await left(town, ANA) == 80


async def test_a_reset_of_the_month_opens_its_limit_again(town: CreditsBench) -> None:
    await town.set_person(ANA, {limits.USER_MONTH: 50, limits.USER_DAY: 50})
    await town.spend(ANA, 50)
    wallets = town.credits.wallets

    await wallets.reset(OWNER, ANA, with_month=False, request_key="r1")
    assert await town.try_to_submit(ANA, 10) is None
    await wallets.reset(OWNER, ANA, with_month=True, request_key="r2")

    await town.spend(ANA, 50)


async def test_two_moderators_at_once_the_last_wins_and_both_are_in_the_audit(town: CreditsBench) -> None:
    mo, jo = replace(OWNER, id="mo"), replace(OWNER, id="jo")
    about = PolicyTarget("web", "page", "user", "ana")
    await town.credits.change(about, {limits.USER_DAY: 10}, mo)
    await town.credits.change(about, {limits.USER_DAY: 20}, jo)

    async with town.database.read() as tx:
        rows = await tx.audit.list_rows("web", "page", 10, kind="policy.")

    assert (await town.credits.get_limits(ANA)).user_day_micros == 20
    assert [(row.actor, row.facts["before"], row.facts["after"]) for row in rows] == [
        ("web:page:jo", {limits.USER_DAY: 10}, {limits.USER_DAY: 20}),
        ("web:page:mo", {limits.USER_DAY: None}, {limits.USER_DAY: 10}),
    ]


async def test_another_process_notices_within_a_second(town: CreditsBench) -> None:
    other = CreditsBench(town.database, clock=town.clock)
    await other.spend(ANA, 1)

    await town.set_person(ANA, {limits.USER_DAY: 0})

    await other.spend(ANA, 1)
    town.clock.pass_time(timedelta(seconds=1))
    assert await other.try_to_submit(ANA, 1) is None


async def test_a_job_that_draws_on_two_wallets_is_paid_from_both(town: CreditsBench) -> None:
    await town.credits.wallets.grant(OWNER, ANA, 30, town.key(), is_owner=True)

    paid = await town.close_job(await town.start_run(await town.submit(ANA, 125)), 120)

    statement = await town.credits.get_statement(ANA)
    assert (paid, statement.today_available_micros, statement.extra_available_micros) == (120, 0, 10)


async def test_of_many_at_once_only_so_many_run(town: CreditsBench) -> None:
    await town.set_person(ANA, {limits.AT_ONCE: 3})

    asked = await asyncio.gather(*(town.try_to_submit(ANA, 1) for _ in range(12)))

    assert sum(row is not None for row in asked) == 3


@pytest.mark.parametrize(("key", "with_month"), [(limits.USER_DAY, False), (limits.USER_MONTH, True)])
async def test_a_limit_set_after_a_reset_counts_what_was_spent_since(
    town: CreditsBench, key: str, with_month: bool
) -> None:
    await town.record_users(ANA)
    await town.spend(ANA, 30)
    town.clock.pass_time(timedelta(seconds=1))
    await town.credits.wallets.reset(OWNER, ANA, with_month=with_month, request_key=town.key())
    await town.spend(ANA, 5)

    await town.set_person(ANA, {key: 40})

    assert await left(town, ANA) == 95
    assert await town.try_to_submit(ANA, 36) is None
    assert await town.try_to_submit(ANA, 35) is not None
