"""Changes to a workspace's settings from the chat: check a value, write and audit the change, describe the settings."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import available_timezones

from bot.conversations.conversations import SUMMARY_TOKENS
from bot.core.backend import InputValue
from bot.core.errors import BadOption, RequestRefused
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.models import Model, Task
from bot.core.people import Channel, Rank, User
from bot.core.platform import EVERYONE, format_channel, format_role, get_platform_syntax, is_platform_id
from bot.core.replies import Reply
from bot.credits.limits import PolicyTarget
from bot.credits.pricing import BYTES_PER_TOKEN, estimate_cost, get_field_name
from bot.dispatch.declaration import MAX_CHOICES, Choice, OptionValue, Services
from bot.moderation.moderation import WorkspaceSettings, format_setting_key

_LANGUAGE = re.compile(r"[^\W\d_][\w '()-]{1,39}")


async def get_settings(services: Services, user: User) -> WorkspaceSettings:
    """Return the settings of a user's workspace."""
    return await services.moderation.get_settings(user.platform, user.workspace)


async def change_settings(services: Services, by: User, values: Mapping[str, JSON]) -> WorkspaceSettings:
    """Write policies by `format_setting_key`, delete the policies with the value None, and return the new settings.

    The audit records the user, the old values and the new values.
    """
    if values:
        await services.credits.change(PolicyTarget(by.platform, by.workspace, "workspace"), values, by)
    # This process reads the new settings at once; other processes within a second, after their cache expires.
    services.moderation.invalidate_settings(by.platform, by.workspace)
    return await get_settings(services, by)


async def change_and_reply(services: Services, by: User, values: Mapping[str, JSON], *names: str) -> Reply:
    """Change policies and return a description of the settings in `names`."""
    settings = await change_settings(services, by, values)
    return Reply(text="\n".join(format_settings(settings, by, services, only=frozenset(names))), is_private=True)


# Each validator returns the policies to write for one setting.


def validate_channel(by: User, channel: str, *, is_allowed: bool) -> dict[str, JSON]:
    """Allow or forbid the bot in a channel. With a first allowed channel, the bot works in allowed channels only."""
    return {format_setting_key("channels", require_id(by.platform, channel, "channel")): True if is_allowed else None}


def validate_moderator_role(
    invocation: Invocation, settings: WorkspaceSettings, role: str, *, moderates: bool
) -> dict[str, JSON]:
    """Make the members of a role moderators, or plain users again.

    Raise `RequestRefused` for the role of all members, and for the user's only moderator role.
    """
    by = invocation.user
    role = require_id(by.platform, role, "role")
    if moderates and role in (EVERYONE, by.workspace):
        raise RequestRefused("Everybody has that role: everybody would be a moderator.")
    # Only an administrator may remove the last role that makes the user a moderator.
    left = settings.moderator_roles - {role}
    is_only_by_role = invocation.rank is Rank.MODERATOR and not by.is_administrator
    if not moderates and is_only_by_role and not left & by.roles:
        raise RequestRefused(
            "That role is what makes you a moderator: an administrator of this workspace can take it away."
        )
    return {format_setting_key("moderator_roles", role): True if moderates else None}


async def validate_notice_channel(services: Services, by: User, name: str) -> dict[str, JSON]:
    """Set the channel for reports and notices, and post a first one. Raise `BadOption` if the bot cannot post there."""
    # A test post before the change: a channel closed to the bot would swallow reports without a sign.
    channel = Channel(by.platform, by.workspace, require_id(by.platform, name, "channel"))
    notice = Reply(text=f"Reports, and notices about the budget, will come here from now on. {by.name} said so.")
    if not await services.notices.post_in_channel(channel, notice):
        shown = format_channel(channel.platform, channel.id)
        raise BadOption(f"I cannot post in {shown}. Let me in there, then say this again.", option="channel")
    return {format_setting_key("moderator_channel"): channel.id}


def validate_time_zone(name: str) -> dict[str, JSON]:
    """Set the time zone by its IANA name, in any case. Raise `BadOption` with the nearest name."""
    zones = _load_time_zones()
    found = zones.get(name.strip().lower().replace(" ", "_"))
    if found is None:
        near = get_close_matches(name.lower(), zones, n=1, cutoff=0.7)
        nearest = next((z for lower, z in zones.items() if name.strip().lower() in lower), zones.get("".join(near)))
        hint = f"Did you mean {nearest}?" if nearest else "Try Europe/Berlin, or UTC."
        raise BadOption(f"There is no time zone called “{name}”. {hint}", option="time_zone")
    return {format_setting_key("time_zone"): found}


def validate_language(name: str) -> dict[str, JSON]:
    """Set the language of chat models' answers, by its name in any language."""
    if not _LANGUAGE.fullmatch(name):
        raise BadOption("language is the name of a language, such as German or Português.", option="language")
    return {format_setting_key("language"): name}


def suggest_time_zones(_: Services, typed: str, _given: Mapping[str, OptionValue]) -> list[Choice]:
    """Return time zones with the typed text in the name; cities with the typed beginning come first."""
    wanted = typed.strip().lower().replace(" ", "_")
    zones = _load_time_zones()
    found = [name for lower, name in zones.items() if wanted in lower]
    found.sort(key=lambda name: (not name.lower().rpartition("/")[2].startswith(wanted), name))
    return [Choice(name, name) for name in found[:MAX_CHOICES]]


@lru_cache(maxsize=1)
def _load_time_zones() -> dict[str, str]:
    return {name.lower(): name for name in sorted(available_timezones())} | {"utc": "UTC"}


def require_id(platform: str, text: str, kind: str) -> str:
    """Return the id of a channel or a role. Raise `BadOption` for a name on a platform with ids.

    `kind` is the name of the option, "channel" or "role".
    """
    has_ids = get_platform_syntax(platform).has_links
    if text and (not has_ids or is_platform_id(platform, text) or (kind == "role" and text == EVERYONE)):
        return text
    raise BadOption(f"I do not know a {kind} called “{text}”. Pick it from the list that opens at @ or #.", option=kind)


def format_settings(
    settings: WorkspaceSettings, by: User, services: Services, *, only: frozenset[str] = frozenset()
) -> list[str]:
    """Return a line with the present value of each setting, or of the settings in `only`."""
    default = WorkspaceSettings()
    lines = []
    for name, (label, format_value) in _FORMATTERS.items():
        if only and name not in only:
            continue
        note = "" if getattr(settings, name) != getattr(default, name) else " *(default)*"
        lines.append(f"- **{label}**: {format_value(settings, by, services)}{note}")
    return lines


def _format_models(settings: WorkspaceSettings, by: User, services: Services) -> str:
    chosen = [f"/{task} {services.catalogue.get(key).title}" for task, key in sorted(settings.default_models.items())]
    return ", ".join(chosen) or "the first of each task in /models"


def _format_channels(settings: WorkspaceSettings, by: User, services: Services) -> str:
    return ", ".join(format_channel(by.platform, name) for name in sorted(settings.channels)) or "all"


def _format_moderators(settings: WorkspaceSettings, by: User, services: Services) -> str:
    roles = [format_role(by.platform, role) for role in sorted(settings.moderator_roles)]
    return " and ".join(["this workspace's administrators", *roles])


def _format_notices(settings: WorkspaceSettings, by: User, services: Services) -> str:
    channel = settings.moderator_channel
    return f"in {format_channel(by.platform, channel)}" if channel else "to the bot's owner"


def _format_retention(settings: WorkspaceSettings, by: User, services: Services) -> str:
    # A workspace can shorten the owner's retention, never extend the retention.
    days = min(settings.retention_days or services.moderation.days_kept, services.moderation.days_kept)
    return f"{days} days" if days != 1 else "one day"


def _format_tools_setting(settings: WorkspaceSettings, by: User, services: Services) -> str:
    channels = [
        f"{'on' if is_on else 'off'} in {format_channel(by.platform, name)}"
        for name, is_on in sorted(settings.tools.items())
        if name
    ]
    return ", ".join(["on" if settings.may_use_tools("") else "off", *channels])


def _estimate_summary_micros(model: Model) -> int:
    """Return the usual cost of the summary of a conversation that fills a model's context."""
    words = "x" * (model.context_tokens * BYTES_PER_TOKEN)
    inputs: dict[str, InputValue] = {"prompt": words, get_field_name(model, "max_tokens"): SUMMARY_TOKENS}
    return estimate_cost(model, inputs).expected_micros


def _format_summaries(settings: WorkspaceSettings, by: User, services: Services) -> str:
    if not settings.summaries:
        return "lose their oldest messages, and the answer says so"
    model = services.catalogue.choose(Task.CHAT, preferred_key=settings.get_default_model(Task.CHAT))
    most = services.credits.formatter.format(_estimate_summary_micros(model))
    return f"are summed up for the asker, for up to about {most} credits each time with {model.title}"


def _format_confirmation(settings: WorkspaceSettings, by: User, services: Services) -> str:
    amount = settings.confirm_above_credits
    return f"above {amount:g} credits" if amount else "never"


def _format_runs(settings: WorkspaceSettings, by: User, services: Services) -> str:
    if settings.run == "anything":
        return f"models on offer, and any other whose run costs at most {settings.run_below_credits:g} credits"
    return "nothing" if settings.run == "off" else "models on offer; others after an approval"


def _format_lack_of_restricted_channels(by: User) -> str:
    return "" if get_platform_syntax(by.platform).has_age_restricted_channels else ", and there are none here"


SettingFormatter = Callable[[WorkspaceSettings, User, Services], str]
_FORMATTERS: Mapping[str, tuple[str, SettingFormatter]] = {
    "default_models": ("Models where nobody names one", _format_models),
    "channels": ("Channels I may be used in", _format_channels),
    "moderator_roles": ("Moderators", _format_moderators),
    "moderator_channel": ("Reports and notices go", _format_notices),
    "system_prompt": (
        "What chat models are told",
        lambda settings, _, services: f"“{(settings.system_prompt or services.conversations.system_prompt)[:300]}”",
    ),
    "language": ("They answer in", lambda settings, *_: settings.language or "the language of the question"),
    "join": (
        "Who may go on with a conversation",
        lambda settings, *_: "everyone" if settings.join == "everyone" else "who began it",
    ),
    "tools": ("Chat models draw, edit and speak for the asker", _format_tools_setting),
    "voice": (
        "A voice message is answered",
        lambda settings, *_: {"off": "not at all", "text": "in words", "speak": "in words and aloud"}[settings.voice],
    ),
    "summaries": ("Conversations that outgrow the model", _format_summaries),
    "feedback": ("People vote on answers", lambda settings, *_: "with 👍 and 👎" if settings.feedback else "nowhere"),
    "mention": (
        "A mention is answered",
        lambda settings, *_: {"thread": "in a thread of its own", "reply": "with a reply", "off": "not at all"}[
            settings.mention
        ],
    ),
    "adult": (
        "Models for adults",
        lambda settings, by, _: (
            "nowhere"
            if settings.adult == "off"
            else f"in age-restricted channels{_format_lack_of_restricted_channels(by)}"
        ),
    ),
    "flagged": (
        "Pictures that the model flags",
        lambda settings, *_: "refused" if settings.flagged == "refuse" else "hidden until they are opened",
    ),
    "reuse": (
        "The very same asked again",
        lambda settings, *_: "is answered from what was kept, for nothing" if settings.reuse else "is made anew",
    ),
    "recipes": (
        "The workflow in files of ComfyUI",
        lambda settings, *_: "is kept, with the words" if settings.recipes else "is taken out",
    ),
    "prompts": (
        "Delivered files of drawings",
        lambda settings, *_: "say how they were made" if settings.prompts else "say nothing of their making",
    ),
    "time_zone": ("Time zone", lambda settings, *_: settings.time_zone),
    "retention_days": ("What was asked is kept", _format_retention),
    "confirm_above_credits": ("A button asks first", _format_confirmation),
    "run": ("/run takes", _format_runs),
}
SETTINGS = tuple(_FORMATTERS)
"""Names of all settings, in the order of `/settings show`."""
