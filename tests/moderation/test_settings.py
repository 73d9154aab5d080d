"""Settings as rows, and back."""

from datetime import UTC, datetime

from bot.core.json import JSON
from bot.moderation.settings import WorkspaceSettings, key_of, settings_from
from bot.storage.policies import Policy

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def row(key: str, value: JSON, scope: str = "workspace") -> Policy:
    return Policy("web", "page", scope, "", key, value, "mo", NOW)


def test_nothing_set_is_the_defaults() -> None:
    assert settings_from([]) == WorkspaceSettings()


def test_each_member_has_a_row_of_its_own() -> None:
    rows = [
        row(key_of("channels", "c1"), True),
        row(key_of("channels", "c2"), True),
        row(key_of("moderator_roles", "r1"), True),
        row(key_of("default_models", "chat"), "llama"),
        row(key_of("default_models", "imagine"), "sdxl"),
    ]

    settings = settings_from(rows)

    assert settings.channels == {"c1", "c2"}
    assert settings.moderator_roles == {"r1"}
    assert settings.usual_model("chat") == "llama"
    assert settings.usual_model("caption") == ""


def test_whole_sets_are_read_too() -> None:
    settings = settings_from([row(key_of("channels"), ["c1", 2]), row(key_of("default_models"), {"chat": "llama"})])

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

    assert settings_from(rows) == WorkspaceSettings()


def test_models_are_told_the_prompt_and_the_language() -> None:
    assert WorkspaceSettings().told_to_models("Be nice.") == "Be nice."
    assert WorkspaceSettings(system_prompt="Be a cat.").told_to_models("Be nice.") == "Be a cat."
    assert WorkspaceSettings(language="German").told_to_models("Be nice.") == "Be nice. Answer in German."
