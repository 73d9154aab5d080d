"""A workspace's settings as they are changed from the chat: checked, written with who did it, and told in words."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import available_timezones

from bot.core.errors import BadOption, RequestRefused
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Channel, Rank, User
from bot.core.platform_syntax import EVERYONE, format_channel, format_role, get_platform_syntax, is_platform_id
from bot.core.replies import Reply
from bot.credits.policies import PolicyTarget
from bot.dispatch.declaration import MAX_CHOICES, Choice, Services
from bot.moderation.settings import WorkspaceSettings, format_setting_key

_LANGUAGE = re.compile(r"[^\W\d_][\w '()-]{1,39}")


async def get_settings(services: Services, user: User) -> WorkspaceSettings:
    """The settings where somebody is."""
    return await services.moderation.get_settings(user.platform, user.workspace)


async def change_settings(services: Services, by: User, values: Mapping[str, JSON]) -> WorkspaceSettings:
    """Write these policies (`key_of`), or take them away where the value is None; gives the settings as they are then.

    The audit has who changed what from what to what. They hold here at once, and within a second elsewhere.
    """
    if values:
        await services.credits.change(PolicyTarget(by.platform, by.workspace, "workspace"), values, by)
    services.moderation.invalidate_settings(by.platform, by.workspace)
    return await get_settings(services, by)


async def change_and_reply(services: Services, by: User, values: Mapping[str, JSON], *names: str) -> Reply:
    """Change them, and tell what these settings are then."""
    settings = await change_settings(services, by, values)
    return Reply(text="\n".join(format_settings(settings, by, services, only=frozenset(names))), is_private=True)


# One setting each: what to write, once it is checked.


def validate_channel(by: User, place: str, *, is_allowed: bool) -> dict[str, JSON]:
    """A channel that the bot may be used in; once there is one, it is used in those only."""
    return {format_setting_key("channels", require_id(by.platform, place, "channel")): True if is_allowed else None}


def validate_moderator_role(
    invocation: Invocation, settings: WorkspaceSettings, role: str, *, moderates: bool
) -> dict[str, JSON]:
    """A role whose members moderate. Raises `Refused` for what would lock out who does it, or let in everybody."""
    by = invocation.user
    role = require_id(by.platform, role, "role")
    if moderates and role in (EVERYONE, by.workspace):
        raise RequestRefused("Everybody has that role: everybody would be a moderator.")
    left = settings.moderator_roles - {role}
    is_only_by_role = invocation.rank is Rank.MODERATOR and not by.is_administrator
    if not moderates and is_only_by_role and not left & by.roles:
        raise RequestRefused(
            "That role is what makes you a moderator: an administrator of this workspace can take it away."
        )
    return {format_setting_key("moderator_roles", role): True if moderates else None}


async def validate_notice_channel(services: Services, by: User, place: str) -> dict[str, JSON]:
    """The channel that reports and notices go to, tried with one. Raises `BadOption` where I cannot post."""
    channel = Channel(by.platform, by.workspace, require_id(by.platform, place, "channel"))
    told = Reply(text=f"Reports, and notices about the budget, will come here from now on. {by.name} said so.")
    if not await services.notices.post_in_channel(channel, told):
        where = format_channel(channel.platform, channel.id)
        raise BadOption(f"I cannot post in {where}. Let me in there, then say this again.", option="channel")
    return {format_setting_key("moderator_channel"): channel.id}


def validate_time_zone(name: str) -> dict[str, JSON]:
    """A time zone by its IANA name, in whatever case it is typed. Raises `BadOption` with the nearest."""
    zones = _zones()
    found = zones.get(name.strip().lower().replace(" ", "_"))
    if found is None:
        near = get_close_matches(name.lower(), zones, n=1, cutoff=0.7)
        meant = next((zone for lower, zone in zones.items() if name.strip().lower() in lower), zones.get("".join(near)))
        hint = f"Did you mean {meant}?" if meant else "Try Europe/Berlin, or UTC."
        raise BadOption(f"There is no time zone called “{name}”. {hint}", option="time_zone")
    return {format_setting_key("time_zone"): found}


def validate_language(name: str) -> dict[str, JSON]:
    """The language that chat models answer in, by its name in any language."""
    if not _LANGUAGE.fullmatch(name):
        raise BadOption("language is the name of a language, such as German or Português.", option="language")
    return {format_setting_key("language"): name}


def suggest_time_zones(_: Services, typed: str) -> list[Choice]:
    """Suggestions for a time zone: those whose city begins so first."""
    wanted = typed.strip().lower().replace(" ", "_")
    zones = _zones()
    found = [name for lower, name in zones.items() if wanted in lower]
    found.sort(key=lambda name: (not name.lower().rpartition("/")[2].startswith(wanted), name))
    return [Choice(name, name) for name in found[:MAX_CHOICES]]


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in sorted(available_timezones())} | {"utc": "UTC"}


def require_id(platform: str, text: str, what: str) -> str:
    """An id as the platform gives it. Raises `BadOption` for a name, where the platform has ids."""
    knows_ids = get_platform_syntax(platform).has_links
    if text and (not knows_ids or is_platform_id(platform, text) or (what == "role" and text == EVERYONE)):
        return text
    raise BadOption(f"I do not know a {what} called “{text}”. Pick it from the list that opens at @ or #.", option=what)


# In words.


def format_settings(
    settings: WorkspaceSettings, by: User, services: Services, *, only: frozenset[str] = frozenset()
) -> list[str]:
    """A line for each setting, or for those named: what it is now."""
    default = WorkspaceSettings()
    lines = []
    for name, (label, tell) in _FORMATTERS.items():
        if only and name not in only:
            continue
        usual = "" if getattr(settings, name) != getattr(default, name) else " *(default)*"
        lines.append(f"- **{label}**: {tell(settings, by, services)}{usual}")
    return lines


def _models(settings: WorkspaceSettings, by: User, services: Services) -> str:
    chosen = [f"/{task} {services.catalogue.get(key).title}" for task, key in sorted(settings.default_models.items())]
    return ", ".join(chosen) or "the first of each task in /models"


def _channels(settings: WorkspaceSettings, by: User, services: Services) -> str:
    return ", ".join(format_channel(by.platform, name) for name in sorted(settings.channels)) or "all"


def _moderators(settings: WorkspaceSettings, by: User, services: Services) -> str:
    roles = [format_role(by.platform, role) for role in sorted(settings.moderator_roles)]
    return " and ".join(["this workspace's administrators", *roles])


def _notices(settings: WorkspaceSettings, by: User, services: Services) -> str:
    place = settings.moderator_channel
    return f"in {format_channel(by.platform, place)}" if place else "to the bot's owner"


def _days(settings: WorkspaceSettings, by: User, services: Services) -> str:
    days = min(settings.retention_days or services.moderation.days_kept, services.moderation.days_kept)
    return f"{days} days" if days != 1 else "one day"


def _above(settings: WorkspaceSettings, by: User, services: Services) -> str:
    amount = settings.confirm_above_credits
    return f"above {amount:g} credits" if amount else "never"


def _none_in(by: User) -> str:
    return "" if get_platform_syntax(by.platform).has_age_restricted_channels else ", and there are none here"


SettingFormatter = Callable[[WorkspaceSettings, User, Services], str]
_FORMATTERS: Mapping[str, tuple[str, SettingFormatter]] = {
    "default_models": ("Models where nobody names one", _models),
    "channels": ("Channels I may be used in", _channels),
    "moderator_roles": ("Moderators", _moderators),
    "moderator_channel": ("Reports and notices go", _notices),
    "system_prompt": (
        "What chat models are told",
        lambda settings, _, services: f"“{(settings.system_prompt or services.conversations.system_prompt)[:300]}”",
    ),
    "language": ("They answer in", lambda settings, *_: settings.language or "the language of the question"),
    "join": (
        "Who may go on with a conversation",
        lambda settings, *_: "everyone" if settings.join == "everyone" else "who began it",
    ),
    "mention": (
        "A mention is answered",
        lambda settings, *_: {"thread": "in a thread of its own", "reply": "with a reply", "off": "not at all"}[
            settings.mention
        ],
    ),
    "adult": (
        "Models for adults",
        lambda settings, by, _: "nowhere" if settings.adult == "off" else f"in age-restricted channels{_none_in(by)}",
    ),
    "flagged": (
        "Pictures that the model flags",
        lambda settings, *_: "refused" if settings.flagged == "refuse" else "hidden until they are opened",
    ),
    "reuse": (
        "The very same asked again",
        lambda settings, *_: "is answered from what was kept, for nothing" if settings.reuse else "is made anew",
    ),
    "time_zone": ("Time zone", lambda settings, *_: settings.time_zone),
    "retention_days": ("What was asked is kept", _days),
    "confirm_above_credits": ("A button asks first", _above),
}
SETTINGS = tuple(_FORMATTERS)
"""Every setting by its name, in the order they are told."""
