"""Settings as rows, and back."""

from datetime import UTC, datetime

from bot.core.json import JSON
from bot.moderation.settings import WorkspaceSettings, format_setting_key, parse_settings
from bot.storage.policies import Policy

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def row(key: str, value: JSON, scope: str = "workspace") -> Policy:
    return Policy("web", "page", scope, "", key, value, "mo", NOW)


def test_nothing_set_is_the_defaults() -> None:
    assert parse_settings([]) == WorkspaceSettings()


def test_each_member_has_a_row_of_its_own() -> None:
    rows = [
        row(format_setting_key("channels", "c1"), True),
        row(format_setting_key("channels", "c2"), True),
        row(format_setting_key("moderator_roles", "r1"), True),
        row(format_setting_key("default_models", "chat"), "llama"),
        row(format_setting_key("default_models", "imagine"), "sdxl"),
    ]

    settings = parse_settings(rows)

    assert settings.channels == {"c1", "c2"}
    assert settings.moderator_roles == {"r1"}
    assert settings.get_default_model("chat") == "llama"
    assert settings.get_default_model("caption") == ""


def test_whole_sets_are_read_too() -> None:
    settings = parse_settings(
        [row(format_setting_key("channels"), ["c1", 2]), row(format_setting_key("default_models"), {"chat": "llama"})]
    )

    assert settings.channels == {"c1", "2"}
    assert settings.default_models == {"chat": "llama"}


def test_what_this_version_does_not_know_is_left_alone() -> None:
    rows = [
        row("setting:colour", "madder"),
        row("workspace_month_micros", 5),
        row("setting:join", "starter", scope="bot"),
        row("setting:channels", "everywhere"),
        row("setting:default_models", 7),
    ]

    assert parse_settings(rows) == WorkspaceSettings()


def test_models_are_told_the_prompt_and_the_language() -> None:
    assert WorkspaceSettings().build_system_prompt("Be nice.") == "Be nice."
    assert WorkspaceSettings(system_prompt="Be a cat.").build_system_prompt("Be nice.") == "Be a cat."
    assert WorkspaceSettings(language="German").build_system_prompt("Be nice.") == "Be nice. Answer in German."
