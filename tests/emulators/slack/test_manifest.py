"""A manifest decides the app's scopes, events and commands, within Slack's limits."""

import copy
from typing import Any

import pytest

from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.manifest import build_options, validate_manifest

MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Easel", "description": "Pictures and answers"},
    "features": {
        "bot_user": {"display_name": "easel"},
        "agent_view": {"agent_description": "Draws", "suggested_prompts": [{"title": "Draw", "message": "Draw a fox"}]},
        "slash_commands": [{"command": "/imagine", "description": "Draw", "should_escape": False}],
        "shortcuts": [{"name": "Caption", "type": "message", "callback_id": "caption", "description": "Describe"}],
    },
    "oauth_config": {"scopes": {"bot": ["chat:write", "commands"]}},
    "settings": {"event_subscriptions": {"bot_events": ["app_mention"]}, "socket_mode_enabled": True},
}


def test_a_valid_manifest_has_no_violations() -> None:
    assert validate_manifest(MANIFEST) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("display_information", "name"), "x" * 36, "has 36 characters"),
        (("features", "slash_commands", 0, "command"), "imagine", "imagine is no name of a command"),
        (("features", "slash_commands", 0, "url"), "https://example.org", "/imagine has a url"),
        (("features", "slash_commands", 0, "colour"), "red", "unknown field colour"),
        (("features", "assistant_view"), {}, "cannot have an assistant_view"),
        (("features", "agent_view", "suggested_prompts"), [{}] * 5, "more than 4"),
        (("settings", "event_subscriptions", "bot_events"), ["poem"], "does not know the event poem"),
    ],
)
def test_an_invalid_manifest_is_refused(path: tuple[Any, ...], value: Any, fault: str) -> None:
    manifest = copy.deepcopy(MANIFEST)
    *steps, last = path
    parent: Any = manifest
    for step in steps:
        parent = parent[step]
    parent[last] = value

    (found,) = validate_manifest(manifest)

    assert fault in found


async def test_the_manifest_decides_scopes_and_events() -> None:
    async with SlackEmulator(build_options(MANIFEST)) as slack:
        team = slack.add_team()
        general, ana = team.add_channel("general"), team.add_person("Ana")

        said = await ana.say(f"{team.mention} hello", general)

        assert team.scopes == {"chat:write", "commands"}
        assert [delivery.payload["event"]["type"] for delivery in said.deliveries] == ["app_mention"]
        with pytest.raises(AssertionError, match="no command /chat"):
            await ana.use_command("/chat")
