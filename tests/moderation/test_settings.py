"""Settings of a workspace from its policies."""

from datetime import UTC, datetime

from bot.core.json import JSON
from bot.core.people import Actor
from bot.moderation.moderation import WorkspaceSettings, format_setting_key, parse_settings
from bot.storage.policies import Policy

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def make_policy(key: str, value: JSON, scope: str = "workspace") -> Policy:
    return Policy("web", "page", scope, "", key, value, Actor("web", "page", "mo"), NOW)


def test_without_policies_the_defaults_apply() -> None:
    assert parse_settings([]) == WorkspaceSettings()


def test_each_member_of_a_set_has_its_own_policy() -> None:
    policies = [
        make_policy(format_setting_key("channels", "c1"), True),
        make_policy(format_setting_key("channels", "c2"), True),
        make_policy(format_setting_key("moderator_roles", "r1"), True),
        make_policy(format_setting_key("default_models", "chat"), "llama"),
        make_policy(format_setting_key("default_models", "imagine"), "sdxl"),
    ]

    settings = parse_settings(policies)

    assert settings.channels == {"c1", "c2"}
    assert settings.moderator_roles == {"r1"}
    assert settings.get_default_model("chat") == "llama"
    assert settings.get_default_model("caption") == ""


def test_whole_sets_in_one_policy_are_parsed_too() -> None:
    settings = parse_settings(
        [
            make_policy(format_setting_key("channels"), ["c1", 2]),
            make_policy(format_setting_key("default_models"), {"chat": "llama"}),
        ]
    )

    assert settings.channels == {"c1", "2"}
    assert settings.default_models == {"chat": "llama"}


def test_unknown_settings_are_skipped() -> None:
    policies = [
        make_policy("setting:colour", "madder"),
        make_policy("workspace_month_micros", 5),
        make_policy("setting:join", "starter", scope="bot"),
        make_policy("setting:channels", "everywhere"),
        make_policy("setting:default_models", 7),
    ]

    assert parse_settings(policies) == WorkspaceSettings()


def test_the_system_prompt_names_the_language() -> None:
    assert WorkspaceSettings().build_system_prompt("Be nice.") == "Be nice."
    assert WorkspaceSettings(system_prompt="Be a cat.").build_system_prompt("Be nice.") == "Be a cat."
    assert WorkspaceSettings(language="German").build_system_prompt("Be nice.") == "Be nice. Answer in German."
