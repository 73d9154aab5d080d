"""Creates the app's manifest from the menu: commands, shortcuts, scopes and events.

Limits: slackapi/node-slack-sdk, packages/web-api/src/types/request/manifest.ts.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.dispatch.declaration import Declaration, Option, OptionKind
from bot.dispatch.parsing import Menu
from bot.platforms.slack.agent_view import SUGGESTED_PROMPTS
from bot.platforms.slack.commands import FILE_SHORTCUT, FORM_SHORTCUT
from bot.platforms.slack.mrkdwn import truncate

SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:write",
    "mpim:history",
    "usergroups:read",
    "users:read",
)
OPTIONAL_SCOPES: Mapping[str, str] = {"canvases:read": "canvases are not read"}
"""Scopes that an installation may refuse, each with the consequence (docs.slack.dev/changelog/2026/03/16)."""

EVENTS = (
    "agent_session_stopped",
    "app_context_changed",
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "tokens_revoked",
)
_PLAIN_SCALAR = re.compile(r"[A-Za-z/][\w./]*")
_YAML_KEYWORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_MAX_COMMANDS = 50
_MAX_SHORTCUTS = 10
_MAX_HINT = 1000
_MAX_SHORTCUT_NAME = 24


def create_manifest(menu: Menu, *, prefix: str = "", public_url: str = "") -> dict[str, Any]:
    """Return the manifest for Socket Mode, or for HTTP if there is a `public_url`."""
    url = f"{public_url}/slack/events" if public_url else ""
    settings: dict[str, Any] = {
        "event_subscriptions": {**({"request_url": url} if url else {}), "bot_events": list(EVENTS)},
        "interactivity": {"is_enabled": True, **({"request_url": url, "message_menu_options_url": url} if url else {})},
        "org_deploy_enabled": False,
        "socket_mode_enabled": not url,
        "token_rotation_enabled": False,
    }
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Easel",
            "description": "Draws, upscales and captions pictures, and chats, on any model that Replicate runs.",
            "background_color": "#1f2a44",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "easel", "always_online": True},
            # New apps cannot use `assistant_view` since 2026-06-30 (docs.slack.dev/ai/migrating-to-agent-messaging).
            "agent_view": {
                "agent_description": "Chat with open models, and draw, upscale or caption pictures.",
                "suggested_prompts": [dict(prompt) for prompt in SUGGESTED_PROMPTS],
            },
            "slash_commands": _render_commands(menu, prefix, url),
            "shortcuts": _render_shortcuts(menu),
        },
        "oauth_config": {
            **({"redirect_urls": [f"{public_url}/slack/oauth_redirect"]} if public_url else {}),
            "scopes": {"bot": sorted([*SCOPES, *OPTIONAL_SCOPES]), "bot_optional": list(OPTIONAL_SCOPES)},
        },
        "settings": settings,
    }


def _render_commands(menu: Menu, prefix: str, url: str) -> list[dict[str, Any]]:
    """Return a slash command for each first word: Slack has no command groups."""
    groups: dict[str, list[Declaration]] = {}
    for form in menu:
        groups.setdefault(form.declaration.name_parts[0], []).append(form.declaration)
    commands = [_render_command(word, group, prefix, url) for word, group in groups.items()]
    return commands[:_MAX_COMMANDS]


def _render_command(word: str, group: Sequence[Declaration], prefix: str, url: str) -> dict[str, Any]:
    is_group = len(group) > 1 or len(group[0].name_parts) > 1
    verbs = " | ".join(" ".join(declaration.name_parts[1:]) for declaration in group if len(declaration.name_parts) > 1)
    hint = f"[{verbs}]" if is_group else _render_hint(group[0])
    return {
        "command": f"/{prefix}{word}",
        **({"url": url} if url else {}),
        "description": group[0].description if not is_group else f"{word.capitalize()}: {verbs.replace(' |', ',')}",
        **({"usage_hint": truncate(hint, _MAX_HINT)} if hint else {}),
        # Only then Slack sends `@user` and `#channel` as ids.
        "should_escape": any(_takes_id(option) for declaration in group for option in declaration.options),
    }


def _render_hint(declaration: Declaration) -> str:
    text_option = declaration.words_option
    positional = [text_option] if text_option else [option for option in declaration.options if option.is_required]
    named = [option for option in declaration.options if option not in positional]
    parts = [f"[{option.name}]" for option in positional] + [f"[--{option.name}]" for option in named[:6]]
    return " ".join(parts)


def _takes_id(option: Option) -> bool:
    return option.kind in (OptionKind.PERSON, OptionKind.ROLE, OptionKind.CHANNEL) or option.name == "user"


def _render_shortcuts(menu: Menu) -> list[dict[str, str]]:
    """Return a shortcut for each command that takes a posted file, and a shortcut to the form of /imagine."""
    shortcuts = []
    for form in menu:
        declaration = form.declaration
        for entry in declaration.menu_entries:
            # An entry with options of its own names its object already: "Read text".
            is_named = bool(entry.options)
            shortcuts.append(
                {
                    "name": entry.label if is_named else _name_shortcut(entry.label, entry.kind),
                    "type": "message",
                    "callback_id": f"{FILE_SHORTCUT}{declaration.name}{f':{entry.label}' * is_named}",
                    "description": entry.description or declaration.description,
                }
            )
    shortcuts.append(
        {
            "name": "Draw a picture",
            "type": "global",
            "callback_id": f"{FORM_SHORTCUT}imagine",
            "description": "Open the form to draw a picture.",
        }
    )
    return shortcuts[:_MAX_SHORTCUTS]


def _name_shortcut(label: str, kind: str) -> str:
    """Return "Upscale this picture", or the label alone where Slack's limit leaves no room."""
    name = f"{label} this {kind}"
    return name if len(name) <= _MAX_SHORTCUT_NAME else truncate(label, _MAX_SHORTCUT_NAME)


def render_yaml(value: Any, indent: int = 0) -> str:
    """Return a value as YAML. A manifest needs only mappings, lists, and scalars on one line."""
    pad = "  " * indent
    if isinstance(value, Mapping):
        return "".join(f"{pad}{name}:{_render_nested(item, indent)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return "".join(f"{pad}- {_render_item(item, indent)}" for item in value)
    return f"{pad}{_render_scalar(value)}\n"


def _render_nested(item: Any, indent: int) -> str:
    if isinstance(item, (Mapping, list, tuple)) and item:
        return "\n" + render_yaml(item, indent + 1)
    return f" {_render_scalar(item)}\n"


def _render_item(item: Any, indent: int) -> str:
    return (
        render_yaml(item, indent + 1).lstrip(" ")
        if isinstance(item, (Mapping, list, tuple))
        else f"{_render_scalar(item)}\n"
    )


def _render_scalar(value: Any) -> str:
    if isinstance(value, (bool, list, tuple, Mapping)):
        return json.dumps(value)
    text = str(value)
    is_plain = _PLAIN_SCALAR.fullmatch(text) is not None and text.lower() not in _YAML_KEYWORDS
    return text if isinstance(value, int) or is_plain else _quote(text)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
