"""Which limits hold for whom: the most generous role, then the tightest of all that speak."""

from dataclasses import replace
from datetime import datetime

import pytest

from bot.core.json import JSON
from bot.core.people import User
from bot.core.platform_syntax import EVERYONE
from bot.credits import limits
from bot.credits.limits import ChannelRules, UserLimits, resolve_channel_rules, resolve_limits
from bot.storage.policies import Policy
from tests.fakes.samples import ANA, NOW


def policy(scope: str, scope_id: str, key: str, value: JSON, at: datetime = NOW) -> Policy:
    platform, workspace = ("", "") if scope == "bot" else ("web", "page")
    return Policy(platform, workspace, scope, scope_id, key, value, "web:page:mo", at)


def resolve_for(user: User, *policies: Policy) -> UserLimits:
    return resolve_limits(policies, user, daily_allowance_micros=100, bot_month_micros=10_000)


GOLD_AND_TIN = replace(ANA, roles=frozenset({"gold", "tin"}))


def test_without_policies_the_settings_hold() -> None:
    assert resolve_for(ANA) == UserLimits(daily_allowance_micros=100, bot_month_micros=10_000)


@pytest.mark.parametrize(
    ("key", "field", "gold", "tin"),
    [
        (limits.DAILY_ALLOWANCE, "tier_allowance_micros", 500, 20),
        (limits.AT_ONCE, "jobs_at_once", 5, 1),
        (limits.PER_MINUTE, "jobs_per_minute", 10, 2),
        (limits.MAX_COUNT, "max_count", 4, 1),
        (limits.MAX_PIXELS, "max_pixels", 4_000_000, 1_000_000),
        (limits.WEIGHT, "weight", 3, 2),
        (limits.USER_MONTH, "user_month_micros", 9_000, 400),
    ],
)
def test_of_the_roles_a_person_has_the_most_generous_counts(key: str, field: str, gold: int, tin: int) -> None:
    policies = (policy("role", "gold", key, gold), policy("role", "tin", key, tin), policy("role", "none", key, 10**6))

    assert getattr(resolve_for(GOLD_AND_TIN, *policies), field) == gold


@pytest.mark.parametrize("own", [1, 9])
def test_of_person_and_role_the_tightest_counts(own: int) -> None:
    at_once = (policy("role", "gold", limits.AT_ONCE, 5), policy("user", "ana", limits.AT_ONCE, own))

    assert resolve_for(GOLD_AND_TIN, *at_once).jobs_at_once == min(own, 5)


def test_somebody_elses_limits_do_not_concern_me() -> None:
    assert resolve_for(ANA, policy("user", "ben", limits.USER_DAY, 1)).user_day_micros is None


@pytest.mark.parametrize("role", [EVERYONE, "page"])
def test_everybody_has_the_role_everyone_and_that_of_the_workspaces_own_id(role: str) -> None:
    assert resolve_for(ANA, policy("role", role, limits.DAILY_ALLOWANCE, 7)).allowance_micros == 7


def test_what_the_owner_sets_stands_over_the_settings() -> None:
    changed = resolve_for(
        ANA, policy("bot", "", limits.BOT_MONTH, 50_000), policy("bot", "", limits.DAILY_ALLOWANCE, 300)
    )

    assert (changed.bot_month_micros, changed.daily_allowance_micros) == (50_000, 300)


def test_roles_together_open_what_either_opens() -> None:
    schnell = policy("role", "tin", limits.MODELS, ["flux-schnell"])
    sdxl = policy("role", "gold", limits.MODELS, ["sdxl"])
    everything = policy("role", "gold", limits.MODELS, [limits.ANY])

    assert resolve_for(GOLD_AND_TIN, schnell, sdxl).models == frozenset({"flux-schnell", "sdxl"})
    assert resolve_for(GOLD_AND_TIN, schnell, everything).models is None


def test_the_tier_is_called_after_the_role_that_gives_the_most() -> None:
    tin = (policy("role", "tin", limits.DAILY_ALLOWANCE, 20), policy("role", "tin", limits.NAME, "Tin foil"))
    gold = policy("role", "gold", limits.DAILY_ALLOWANCE, 500)

    assert resolve_for(GOLD_AND_TIN, *tin, gold).tier == "@gold"
    assert resolve_for(replace(ANA, roles=frozenset({"tin"})), *tin, gold).tier == "Tin foil"


def test_rules_hold_in_their_channel_only() -> None:
    policies = [
        policy("channel", "art", limits.MODELS, ["sdxl"]),
        policy("channel", "art", limits.COMMANDS, ["imagine"]),
    ]

    assert resolve_channel_rules(policies, "art") == ChannelRules(frozenset({"sdxl"}), frozenset({"imagine"}))
    assert resolve_channel_rules(policies, "lobby") == ChannelRules()
