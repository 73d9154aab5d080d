"""The app's manifest, drawn from the menu: what Slack must know of commands, shortcuts, scopes and events."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.dispatch.declaration import Declaration, Option, OptionKind
from bot.dispatch.parsing import Menu
from bot.platforms.slack.chat import SUGGESTED_PROMPTS
from bot.platforms.slack.commands import FORM_SHORTCUT, PICTURE_SHORTCUT
from bot.platforms.slack.mrkdwn import truncate

SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "im:history",
    "im:write",
    "mpim:history",
    "usergroups:read",
    "users:read",
)
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
_MOST_COMMANDS = 50
_MOST_SHORTCUTS = 10
_HINT = 1000
_NAME = 24


def create_manifest(menu: Menu, *, prefix: str = "", public_url: str = "") -> dict[str, Any]:
    """The manifest for Socket Mode, or for HTTP at `public_url`."""
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
            "agent_view": {
                "agent_description": "Chat with open models, and draw, upscale or caption pictures.",
                "suggested_prompts": [dict(prompt) for prompt in SUGGESTED_PROMPTS],
            },
            "slash_commands": _commands(menu, prefix, url),
            "shortcuts": _shortcuts(menu),
        },
        "oauth_config": {
            **({"redirect_urls": [f"{public_url}/slack/oauth_redirect"]} if public_url else {}),
            "scopes": {"bot": list(SCOPES)},
        },
        "settings": settings,
    }


def _commands(menu: Menu, prefix: str, url: str) -> list[dict[str, Any]]:
    """One for each first word: Slack knows no groups."""
    words: dict[str, list[Declaration]] = {}
    for form in menu:
        words.setdefault(form.declaration.name_parts[0], []).append(form.declaration)
    drawn = [_command(word, group, prefix, url) for word, group in words.items()]
    return drawn[:_MOST_COMMANDS]


def _command(word: str, group: Sequence[Declaration], prefix: str, url: str) -> dict[str, Any]:
    is_group = len(group) > 1 or len(group[0].name_parts) > 1
    verbs = " | ".join(" ".join(one.name_parts[1:]) for one in group if len(one.name_parts) > 1)
    hint = f"[{verbs}]" if is_group else _hint(group[0])
    return {
        "command": f"/{prefix}{word}",
        **({"url": url} if url else {}),
        "description": group[0].description if not is_group else f"{word.capitalize()}: {verbs.replace(' |', ',')}",
        **({"usage_hint": truncate(hint, _HINT)} if hint else {}),
        "should_escape": any(_names_somebody(option) for one in group for option in one.options),
    }


def _hint(declaration: Declaration) -> str:
    words = declaration.words_option
    free = [words] if words else [option for option in declaration.options if option.is_required]
    named = [option for option in declaration.options if option not in free]
    shown = [f"[{option.name}]" for option in free] + [f"[--{option.name}]" for option in named[:6]]
    return " ".join(shown)


def _names_somebody(option: Option) -> bool:
    return option.kind in (OptionKind.PERSON, OptionKind.ROLE, OptionKind.CHANNEL) or option.name == "user"


def _shortcuts(menu: Menu) -> list[dict[str, str]]:
    """The commands that begin with a picture somebody posted, and the form to draw one."""
    drawn = []
    for form in menu:
        declaration = form.declaration
        if label := declaration.contexts.get("picture"):
            drawn.append(
                {
                    "name": truncate(f"{label} this picture", _NAME),
                    "type": "message",
                    "callback_id": f"{PICTURE_SHORTCUT}{declaration.name}",
                    "description": declaration.description,
                }
            )
    form_of = {"name": "Draw a picture", "type": "global", "callback_id": f"{FORM_SHORTCUT}imagine"}
    return [*drawn, {**form_of, "description": "Open the form to draw a picture."}][:_MOST_SHORTCUTS]


def render_yaml(value: Any, indent: int = 0) -> str:
    """A value in the little YAML that a manifest needs: mappings, lists, and scalars on one line."""
    pad = "  " * indent
    if isinstance(value, Mapping):
        return "".join(f"{pad}{name}:{_nested(item, indent)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return "".join(f"{pad}- {_item(item, indent)}" for item in value)
    return f"{pad}{_scalar(value)}\n"


def _nested(item: Any, indent: int) -> str:
    if isinstance(item, (Mapping, list, tuple)) and item:
        return "\n" + render_yaml(item, indent + 1)
    return f" {_scalar(item)}\n"


def _item(item: Any, indent: int) -> str:
    return (
        render_yaml(item, indent + 1).lstrip(" ") if isinstance(item, (Mapping, list, tuple)) else f"{_scalar(item)}\n"
    )


def _scalar(value: Any) -> str:
    if isinstance(value, (bool, list, tuple, Mapping)):
        return json.dumps(value)
    text = str(value)
    is_plain = _PLAIN_SCALAR.fullmatch(text) is not None and text.lower() not in _YAML_KEYWORDS
    return text if isinstance(value, int) or is_plain else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
