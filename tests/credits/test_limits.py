"""Limits of a user: the most generous role, then the tightest of user, roles, workspace and bot."""

from dataclasses import replace
from datetime import datetime

import pytest

from bot.core.json import JSON
from bot.core.people import Actor, User
from bot.core.platform import EVERYONE
from bot.credits import limits
from bot.credits.limits import ChannelRules, UserLimits, resolve_channel_rules, resolve_limits
from bot.storage.policies import Policy
from tests.fakes.samples import ANA, NOW


def make_policy(scope: str, scope_id: str, key: str, value: JSON, at: datetime = NOW) -> Policy:
    platform, workspace = ("", "") if scope == "bot" else ("web", "page")
    return Policy(platform, workspace, scope, scope_id, key, value, Actor("web", "page", "mo"), at)


def resolve_for(user: User, *policies: Policy) -> UserLimits:
    return resolve_limits(policies, user, daily_allowance_micros=100, bot_month_micros=10_000)


GOLD_AND_TIN = replace(ANA, roles=frozenset({"gold", "tin"}))


def test_without_policies_the_defaults_apply() -> None:
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
def test_of_several_roles_the_most_generous_counts(key: str, field: str, gold: int, tin: int) -> None:
    policies = (
        make_policy("role", "gold", key, gold),
        make_policy("role", "tin", key, tin),
        make_policy("role", "none", key, 10**6),
    )

    assert getattr(resolve_for(GOLD_AND_TIN, *policies), field) == gold


@pytest.mark.parametrize("own", [1, 9])
def test_of_user_and_role_the_tightest_counts(own: int) -> None:
    at_once = (make_policy("role", "gold", limits.AT_ONCE, 5), make_policy("user", "ana", limits.AT_ONCE, own))

    assert resolve_for(GOLD_AND_TIN, *at_once).jobs_at_once == min(own, 5)


def test_limits_of_other_users_do_not_apply() -> None:
    assert resolve_for(ANA, make_policy("user", "ben", limits.USER_DAY, 1)).user_day_micros is None


@pytest.mark.parametrize("role", [EVERYONE, "page"])
def test_every_user_has_the_role_everyone_and_the_role_with_the_workspaces_id(role: str) -> None:
    assert resolve_for(ANA, make_policy("role", role, limits.DAILY_ALLOWANCE, 7)).allowance_micros == 7


def test_policies_of_the_owner_replace_the_defaults() -> None:
    changed = resolve_for(
        ANA, make_policy("bot", "", limits.BOT_MONTH, 50_000), make_policy("bot", "", limits.DAILY_ALLOWANCE, 300)
    )

    assert (changed.bot_month_micros, changed.daily_allowance_micros) == (50_000, 300)


def test_roles_permit_the_union_of_their_models() -> None:
    schnell = make_policy("role", "tin", limits.MODELS, ["flux-schnell"])
    sdxl = make_policy("role", "gold", limits.MODELS, ["sdxl"])
    everything = make_policy("role", "gold", limits.MODELS, [limits.ANY])

    assert resolve_for(GOLD_AND_TIN, schnell, sdxl).models == frozenset({"flux-schnell", "sdxl"})
    assert resolve_for(GOLD_AND_TIN, schnell, everything).models is None


def test_the_most_generous_role_names_the_tier() -> None:
    tin = (make_policy("role", "tin", limits.DAILY_ALLOWANCE, 20), make_policy("role", "tin", limits.NAME, "Tin foil"))
    gold = make_policy("role", "gold", limits.DAILY_ALLOWANCE, 500)

    assert resolve_for(GOLD_AND_TIN, *tin, gold).tier == "@gold"
    assert resolve_for(replace(ANA, roles=frozenset({"tin"})), *tin, gold).tier == "Tin foil"


def test_channel_rules_apply_in_their_channel_only() -> None:
    policies = [
        make_policy("channel", "art", limits.MODELS, ["sdxl"]),
        make_policy("channel", "art", limits.COMMANDS, ["imagine"]),
    ]

    assert resolve_channel_rules(policies, "art") == ChannelRules(frozenset({"sdxl"}), frozenset({"imagine"}))
    assert resolve_channel_rules(policies, "lobby") == ChannelRules()
