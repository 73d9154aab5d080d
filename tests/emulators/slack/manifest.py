"""Turns an app's manifest into options of the emulator, and validates the manifest.

Sources of the limits: docs.slack.dev/reference/app-manifest and the types in slackapi/node-slack-sdk.
"""

from collections.abc import Iterator

from tests.emulators.slack.messages import Json
from tests.emulators.slack.options import ALL_EVENTS, ALL_SCOPES, SlackOptions


def build_options(manifest: Json) -> SlackOptions:
    """Return options with exactly the manifest's scopes, events, commands and shortcuts."""
    features = manifest["features"]
    return SlackOptions(
        scopes=frozenset(manifest["oauth_config"]["scopes"]["bot"]),
        events=frozenset(manifest["settings"]["event_subscriptions"]["bot_events"]),
        commands=frozenset(command["command"] for command in features.get("slash_commands", ())),
        shortcuts=frozenset(shortcut["callback_id"] for shortcut in features.get("shortcuts", ())),
    )


def validate_manifest(manifest: Json) -> list[str]:
    """Return violations as sentences; empty for a valid manifest."""
    return [
        *_validate_display(manifest),
        *_validate_command(manifest),
        *_validate_shortcut(manifest),
        *_validate_agent(manifest),
        *_validate_scopes(manifest),
    ]


def _validate_display(manifest: Json) -> Iterator[str]:
    display = manifest.get("display_information", {})
    yield from _validate_length("display_information.name", display.get("name", ""), 35, shortest=1)
    yield from _validate_length("display_information.description", display.get("description", ""), 140)
    if "long_description" in display:
        yield from _validate_length(
            "display_information.long_description", display["long_description"], 4000, shortest=174
        )
    bot = manifest["features"].get("bot_user", {}).get("display_name", "")
    yield from _validate_length("bot_user.display_name", bot, 80, shortest=1)


def _validate_command(manifest: Json) -> Iterator[str]:
    commands = manifest["features"].get("slash_commands", ())
    is_socket_mode = manifest["settings"].get("socket_mode_enabled", False)
    if len(commands) > 50:
        yield f"{len(commands)} slash commands, where 50 are allowed"
    names = [command["command"] for command in commands]
    yield from (f"{name} is there twice" for name in {name for name in names if names.count(name) > 1})
    for command in commands:
        name = command["command"]
        if not name.startswith("/") or len(name) > 32 or name != name.lower() or " " in name:
            yield f"{name} is no name of a command"
        yield from _validate_length(f"{name} description", command.get("description", ""), 2000, shortest=1)
        yield from _validate_length(f"{name} usage_hint", command.get("usage_hint", ""), 1000)
        if is_socket_mode == ("url" in command):
            yield f"{name} has {'a' if is_socket_mode else 'no'} url"
        for field in command.keys() - {"command", "description", "usage_hint", "should_escape", "url"}:
            yield f"{name} has an unknown field {field}"


def _validate_shortcut(manifest: Json) -> Iterator[str]:
    shortcuts = manifest["features"].get("shortcuts", ())
    if len(shortcuts) > 10:
        yield f"{len(shortcuts)} shortcuts, where 10 are allowed"
    for shortcut in shortcuts:
        yield from _validate_length("shortcut name", shortcut["name"], 24, shortest=1)
        yield from _validate_length(f"{shortcut['name']} description", shortcut["description"], 150, shortest=1)
        yield from _validate_length(f"{shortcut['name']} callback_id", shortcut["callback_id"], 255, shortest=1)
        if shortcut["type"] not in ("message", "global"):
            yield f"{shortcut['name']} is of type {shortcut['type']}"


def _validate_agent(manifest: Json) -> Iterator[str]:
    features = manifest["features"]
    if "assistant_view" in features:
        yield "new apps cannot have an assistant_view"
    agent = features.get("agent_view", {})
    yield from _validate_length("agent_description", agent.get("agent_description", ""), 300)
    if len(agent.get("suggested_prompts", ())) > 4:
        yield "more than 4 suggested prompts"
    events = manifest["settings"].get("event_subscriptions", {}).get("bot_events", ())
    if len(events) > 100:
        yield f"{len(events)} events, where 100 are allowed"
    yield from (f"this Slack does not know the event {event}" for event in set(events) - ALL_EVENTS)


def _validate_scopes(manifest: Json) -> Iterator[str]:
    scopes = manifest["oauth_config"]["scopes"]
    # An optional scope is one of the requested scopes (docs.slack.dev/authentication/installing-with-oauth).
    for scope in set(scopes.get("bot_optional", ())) - set(scopes["bot"]):
        yield f"the optional scope {scope} is not requested"
    yield from (f"this Slack does not know the scope {scope}" for scope in set(scopes["bot"]) - ALL_SCOPES)


def _validate_length(what: str, text: str, longest: int, *, shortest: int = 0) -> Iterator[str]:
    if not shortest <= len(text) <= longest:
        yield f"{what} has {len(text)} characters, where {shortest} to {longest} are allowed"
