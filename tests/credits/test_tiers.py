"""Allowances and limits of roles, users, channels and workspaces, as enforced on jobs; resets of spending."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.errors import BudgetExceeded, LimitReached, OutOfCredits, RequestRefused
from bot.core.people import User
from bot.core.platform import EVERYONE
from bot.credits import limits
from bot.credits.limits import PolicyTarget
from bot.storage.tables.columns import format_actor
from tests.credits.bench import OWNER, WORKSPACE_TARGET, CreditsBench
from tests.fakes.samples import ANA, CHANNEL

GOLD = replace(ANA, roles=frozenset({"gold"}))
TIN = replace(ANA, roles=frozenset({"tin"}))
ELSEWHERE = replace(ANA, workspace="annex")


async def read_available_micros(credits_bench: CreditsBench, user: User) -> int:
    return (await credits_bench.credits.get_statement(user)).today_available_micros


async def test_a_raised_tier_applies_at_once(credits_bench: CreditsBench) -> None:
    await credits_bench.spend(GOLD, 100)
    assert await credits_bench.try_to_submit(GOLD, 1) is None

    await credits_bench.set_role("gold", {limits.DAILY_ALLOWANCE: 500})

    await credits_bench.spend(GOLD, 400)
    assert await credits_bench.try_to_submit(GOLD, 1) is None
    assert await read_available_micros(credits_bench, GOLD) == 0


async def test_losing_and_regaining_a_role_adds_no_credits(credits_bench: CreditsBench) -> None:
    await credits_bench.set_role("gold", {limits.DAILY_ALLOWANCE: 150})
    await credits_bench.spend(GOLD, 150)

    assert await credits_bench.try_to_submit(ANA, 1) is None
    assert await credits_bench.try_to_submit(GOLD, 1) is None


async def test_a_tiers_extra_allowance_is_valid_in_its_workspace_only(credits_bench: CreditsBench) -> None:
    await credits_bench.set_role("gold", {limits.DAILY_ALLOWANCE: 500})

    await credits_bench.spend(GOLD, 120)

    assert await read_available_micros(credits_bench, GOLD) == 380
    assert await read_available_micros(credits_bench, ELSEWHERE) == 0


async def test_a_tier_may_reduce_the_allowance(credits_bench: CreditsBench) -> None:
    await credits_bench.set_role("tin", {limits.DAILY_ALLOWANCE: 30})
    await credits_bench.credits.wallets.grant(OWNER, ANA, 20, credits_bench.key(), is_owner=True)
    await credits_bench.spend(TIN, 25)

    assert await read_available_micros(credits_bench, TIN) == 5
    with pytest.raises(OutOfCredits, match="You are 5 credits short."):
        await credits_bench.submit(TIN, 30)
    await credits_bench.spend(TIN, 25)
    assert await read_available_micros(credits_bench, ELSEWHERE) == 70


async def test_a_reduced_tier_counts_earlier_spending(credits_bench: CreditsBench) -> None:
    await credits_bench.spend(TIN, 25)

    await credits_bench.set_role("tin", {limits.DAILY_ALLOWANCE: 30})

    assert await credits_bench.try_to_submit(TIN, 6) is None
    await credits_bench.spend(TIN, 5)


async def test_a_lowered_tier_removes_unspent_credits_only(credits_bench: CreditsBench) -> None:
    await credits_bench.set_role("gold", {limits.DAILY_ALLOWANCE: 500})
    await credits_bench.spend(GOLD, 300)

    await credits_bench.set_role("gold", {limits.DAILY_ALLOWANCE: 200})

    assert await credits_bench.try_to_submit(GOLD, 1) is None
    await credits_bench.set_role("gold", {limits.DAILY_ALLOWANCE: 310})
    assert await credits_bench.try_to_submit(GOLD, 11) is None
    await credits_bench.spend(GOLD, 10)


@pytest.mark.parametrize("key", [limits.USER_DAY, limits.USER_MONTH])
async def test_a_new_limit_counts_earlier_spending(credits_bench: CreditsBench, key: str) -> None:
    await credits_bench.spend(ANA, 60)
    open_job = await credits_bench.submit(ANA, 10)

    await credits_bench.set_person(ANA, {key: 75})

    with pytest.raises(BudgetExceeded, match="Your budget has no room for this: 1 credit short."):
        await credits_bench.submit(ANA, 6)
    await credits_bench.spend(ANA, 5)
    await credits_bench.close_job(open_job, 10)


async def test_a_new_workspace_budget_counts_earlier_spending(credits_bench: CreditsBench) -> None:
    await credits_bench.spend(ANA, 60)
    await credits_bench.spend(replace(ELSEWHERE, id="zoe"), 60)

    await credits_bench.set_budget(70)

    assert await credits_bench.try_to_submit(replace(ANA, id="ben"), 11) is None
    await credits_bench.spend(replace(ANA, id="ben"), 10)


async def test_a_budget_below_the_spending_refuses_paid_jobs_until_raised(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    await credits_bench.spend(ANA, 60)

    await credits_bench.set_budget(50)

    assert await credits_bench.try_to_submit(ANA, 1) is None
    assert await credits_bench.try_to_submit(ANA, 0) is not None
    await credits_bench.set_budget(61)
    await credits_bench.spend(ANA, 1)


async def test_the_limit_of_jobs_at_once_counts_open_jobs(credits_bench: CreditsBench) -> None:
    await credits_bench.set_person(ANA, {limits.AT_ONCE: 2})
    first = await credits_bench.submit(ANA, 1)
    await credits_bench.submit(ANA, 1)

    with pytest.raises(LimitReached, match="You may have 2 jobs at once. Wait for one to end, or /cancel it."):
        await credits_bench.submit(ANA, 1)

    await credits_bench.close_job(first, 1)
    await credits_bench.submit(ANA, 1)


async def test_the_limit_per_minute_names_the_wait(credits_bench: CreditsBench) -> None:
    await credits_bench.set_role(EVERYONE, {limits.PER_MINUTE: 3})
    for _ in range(3):
        await credits_bench.submit(ANA, 1)

    with pytest.raises(LimitReached, match="You may ask 3 times a minute. Try again in 20 s."):
        await credits_bench.submit(ANA, 1)

    await credits_bench.submit(replace(ANA, id="ben"), 1)
    credits_bench.clock.pass_time(timedelta(seconds=20))
    await credits_bench.submit(ANA, 1)


async def test_a_refused_request_does_not_count_per_minute(credits_bench: CreditsBench) -> None:
    await credits_bench.set_person(ANA, {limits.PER_MINUTE: 1})

    assert await credits_bench.try_to_submit(ANA, 10**6) is None

    await credits_bench.submit(ANA, 1)


@pytest.mark.parametrize("key", [limits.AT_ONCE, limits.PER_MINUTE])
async def test_a_limit_of_zero_names_the_moderator(credits_bench: CreditsBench, key: str) -> None:
    await credits_bench.set_person(ANA, {key: 0})

    with pytest.raises(LimitReached, match="You may not run anything here at the moment. Ask a moderator."):
        await credits_bench.submit(ANA, 0)


async def test_sizes_and_models_are_checked_before_money_is_held(credits_bench: CreditsBench) -> None:
    await credits_bench.set_role(EVERYONE, {limits.MAX_PIXELS: 1_000_000, limits.MODELS: ["pencil"]})

    with pytest.raises(RequestRefused, match="You may ask for 1,000,000 pixels a picture at most, not 4,194,304."):
        await credits_bench.submit(ANA, 1, inputs={"width": 2048, "height": 2048})
    with pytest.raises(RequestRefused, match="at most, not 2,000,000."):
        await credits_bench.submit(ANA, 1, inputs={"megapixels": "2"})
    await credits_bench.set_role(EVERYONE, {limits.MODELS: ["brush"]})
    with pytest.raises(RequestRefused, match="Pencil is not among the models you may use. You may use brush."):
        await credits_bench.submit(ANA, 1)


async def test_a_channel_has_its_own_rules(credits_bench: CreditsBench) -> None:
    art = replace(WORKSPACE_TARGET, scope="channel", id=CHANNEL.id)
    await credits_bench.credits.change(art, {limits.COMMANDS: ["chat"]}, OWNER)
    with pytest.raises(RequestRefused, match="/imagine is not for this channel. Here you may use /chat."):
        await credits_bench.submit(ANA, 1)

    await credits_bench.credits.change(art, {limits.COMMANDS: None, limits.MODELS: ["brush"]}, OWNER)

    with pytest.raises(RequestRefused, match="Pencil is not for this channel. Here you may use brush."):
        await credits_bench.submit(ANA, 1)
    await credits_bench.submit(ANA, 1, channel=replace(CHANNEL, id="c2"))
    assert not await credits_bench.credits.is_model_allowed(ANA, CHANNEL, "pencil")
    assert await credits_bench.credits.is_model_allowed(ANA, CHANNEL, "brush")


async def test_a_clock_that_jumps_back_finds_the_accounts_of_that_day(credits_bench: CreditsBench) -> None:
    await credits_bench.spend(ANA, 100)
    credits_bench.clock.at = datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC)
    await credits_bench.spend(ANA, 40)

    credits_bench.clock.pass_time(timedelta(hours=-1))

    assert await credits_bench.try_to_submit(ANA, 1) is None
    credits_bench.clock.pass_time(timedelta(hours=1))
    assert await read_available_micros(credits_bench, ANA) == 60


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Berlin", "They refill Saturday at 01:00 (Europe/Berlin)."),
        ("America/New_York", "They refill Friday at 19:00 (America/New_York)."),
        ("Mars/Olympus", "They refill Saturday at 00:00 UTC."),
    ],
)
async def test_refills_are_shown_in_the_workspaces_time_zone(
    credits_bench: CreditsBench, zone: str, expected: str
) -> None:
    await credits_bench.credits.change(WORKSPACE_TARGET, {limits.TIME_ZONE: zone}, OWNER)
    await credits_bench.spend(ANA, 100)

    with pytest.raises(OutOfCredits) as caught:
        await credits_bench.submit(ANA, 1)

    assert expected in str(caught.value)


async def test_summer_time_moves_the_shown_hour(credits_bench: CreditsBench) -> None:
    await credits_bench.credits.change(WORKSPACE_TARGET, {limits.TIME_ZONE: "Europe/Berlin"}, OWNER)
    credits_bench.clock.at = datetime(2027, 3, 28, 12, tzinfo=UTC)
    await credits_bench.spend(ANA, 100)

    with pytest.raises(OutOfCredits, match=r"They refill Monday at 02:00 \(Europe/Berlin\)."):
        await credits_bench.submit(ANA, 1)


async def test_a_reset_restores_the_spending_of_this_workspace_once(credits_bench: CreditsBench) -> None:
    await credits_bench.spend(ANA, 30)
    await credits_bench.spend(ELSEWHERE, 20)
    wallets = credits_bench.credits.wallets

    restored = await wallets.reset(OWNER, ANA, with_month=False, request_key="r1")
    again = await wallets.reset(OWNER, ANA, with_month=False, request_key="r1")
    another = await wallets.reset(OWNER, ANA, with_month=False, request_key="r2")

    assert (restored, again, another) == (30, 0, 0)
    assert await read_available_micros(credits_bench, ANA) == 80


async def test_a_reset_of_the_month_restores_the_monthly_limit(credits_bench: CreditsBench) -> None:
    await credits_bench.set_person(ANA, {limits.USER_MONTH: 50, limits.USER_DAY: 50})
    await credits_bench.spend(ANA, 50)
    wallets = credits_bench.credits.wallets

    await wallets.reset(OWNER, ANA, with_month=False, request_key="r1")
    assert await credits_bench.try_to_submit(ANA, 10) is None
    await wallets.reset(OWNER, ANA, with_month=True, request_key="r2")

    await credits_bench.spend(ANA, 50)


async def test_of_two_changes_the_last_wins_and_the_audit_has_both(credits_bench: CreditsBench) -> None:
    mo, jo = replace(OWNER, id="mo"), replace(OWNER, id="jo")
    target = PolicyTarget("web", "page", "user", "ana")
    await credits_bench.credits.change(target, {limits.USER_DAY: 10}, mo)
    await credits_bench.credits.change(target, {limits.USER_DAY: 20}, jo)

    async with credits_bench.database.read() as tx:
        rows = await tx.audit.list_rows("web", "page", 10, kind="policy.")

    assert (await credits_bench.credits.get_limits(ANA)).user_day_micros == 20
    assert [(format_actor(row.actor), row.facts["before"], row.facts["after"]) for row in rows] == [
        ("web:page:jo", {limits.USER_DAY: 10}, {limits.USER_DAY: 20}),
        ("web:page:mo", {limits.USER_DAY: None}, {limits.USER_DAY: 10}),
    ]


async def test_another_process_sees_a_change_within_a_second(credits_bench: CreditsBench) -> None:
    other = CreditsBench(credits_bench.database, clock=credits_bench.clock)
    await other.spend(ANA, 1)

    await credits_bench.set_person(ANA, {limits.USER_DAY: 0})

    await other.spend(ANA, 1)
    credits_bench.clock.pass_time(timedelta(seconds=1))
    assert await other.try_to_submit(ANA, 1) is None


async def test_a_job_that_draws_on_two_wallets_is_paid_from_both(credits_bench: CreditsBench) -> None:
    await credits_bench.credits.wallets.grant(OWNER, ANA, 30, credits_bench.key(), is_owner=True)

    paid = await credits_bench.close_job(await credits_bench.start_run(await credits_bench.submit(ANA, 125)), 120)

    statement = await credits_bench.credits.get_statement(ANA)
    assert (paid, statement.today_available_micros, statement.extra_available_micros) == (120, 0, 10)


async def test_of_simultaneous_requests_only_the_permitted_number_is_accepted(credits_bench: CreditsBench) -> None:
    await credits_bench.set_person(ANA, {limits.AT_ONCE: 3})

    jobs = await asyncio.gather(*(credits_bench.try_to_submit(ANA, 1) for _ in range(12)))

    assert sum(row is not None for row in jobs) == 3


@pytest.mark.parametrize(("key", "with_month"), [(limits.USER_DAY, False), (limits.USER_MONTH, True)])
async def test_a_limit_set_after_a_reset_counts_the_spending_since_the_reset(
    credits_bench: CreditsBench, key: str, with_month: bool
) -> None:
    await credits_bench.record_users(ANA)
    await credits_bench.spend(ANA, 30)
    credits_bench.clock.pass_time(timedelta(seconds=1))
    await credits_bench.credits.wallets.reset(OWNER, ANA, with_month=with_month, request_key=credits_bench.key())
    await credits_bench.spend(ANA, 5)

    await credits_bench.set_person(ANA, {key: 40})

    assert await read_available_micros(credits_bench, ANA) == 95
    assert await credits_bench.try_to_submit(ANA, 36) is None
    assert await credits_bench.try_to_submit(ANA, 35) is not None
