"""The settings of a workspace, read from its policies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from bot.core.json import JSON
from bot.storage.policies import Policy

SETTING_PREFIX = "setting:"
"""The prefix of the keys of all policies that are settings."""


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """The values of `/settings`, one field each, with the default of an unset setting."""

    default_models: Mapping[str, str] = field(default_factory=dict)
    """The model's key by task. A task without an entry uses the catalogue's first model."""
    channels: frozenset[str] = frozenset()
    """The channels with access to the bot; empty for all channels."""
    system_prompt: str = ""
    language: str = ""
    time_zone: str = "UTC"
    adult: str = "age_restricted"
    """`off`, or `age_restricted`: models for adults in age-restricted channels."""
    flagged: str = "spoiler"
    """The handling of pictures that the model flags: `spoiler` or `refuse`."""
    join: str = "everyone"
    """The users with the right to continue a conversation: `everyone`, or the `starter` alone."""
    mention: str = "thread"
    """The reply to a mention: in a new `thread`, as a `reply`, or not at all (`off`)."""
    moderator_roles: frozenset[str] = frozenset()
    """The ids of the roles or user groups of moderators."""
    moderator_channel: str = ""
    """The id of the channel for reports and notices."""
    retention_days: int | None = None
    """The retention of prompts, conversations and pictures; the bot's own RETENTION_DAYS is the maximum."""
    reuse: bool = False
    """Whether a finished identical request may answer a new request, free of charge."""
    confirm_above_credits: float = 0
    """A job with a higher maximum price needs a confirmation; 0 turns confirmations off."""

    def get_default_model(self, task: str) -> str:
        """Return the key of the default model of a task; empty for the catalogue's first model."""
        return self.default_models.get(task, "")

    def build_system_prompt(self, default_prompt: str) -> str:
        """Return the system prompt of a new conversation; `default_prompt` is from the bot's own settings."""
        prompt = self.system_prompt or default_prompt
        return f"{prompt} Answer in {self.language}.".strip() if self.language else prompt


_SET_SETTINGS = frozenset({"channels", "moderator_roles"})
_MODELS = "default_models"
SETTING_NAMES = tuple(setting.name for setting in fields(WorkspaceSettings))


def format_setting_key(name: str, member: str = "") -> str:
    """Return the policy key of a setting, or of one member of a set."""
    # A policy for each member: two moderators who add members at the same time must not overwrite each other.
    return f"{SETTING_PREFIX}{name}:{member}" if member else f"{SETTING_PREFIX}{name}"


def parse_settings(policies: Iterable[Policy]) -> WorkspaceSettings:
    """Return the settings from a workspace's policies. Unknown settings, from a newer version, are skipped."""
    values: dict[str, Any] = {}
    sets: dict[str, set[str]] = {name: set() for name in _SET_SETTINGS}
    models: dict[str, str] = {}
    for policy in policies:
        name, _, member = policy.key.removeprefix(SETTING_PREFIX).partition(":")
        if policy.scope != "workspace" or not policy.key.startswith(SETTING_PREFIX) or name not in SETTING_NAMES:
            continue
        if name in _SET_SETTINGS:
            sets[name] |= (
                {member} if member else set(map(str, policy.value)) if isinstance(policy.value, list) else set()
            )
        elif name == _MODELS:
            models |= {member: str(policy.value)} if member else _parse_texts(policy.value)
        else:
            values[name] = policy.value
    values |= {name: frozenset(members) for name, members in sets.items()}
    return WorkspaceSettings(default_models=models, **values)


def _parse_texts(value: JSON) -> dict[str, str]:
    return {name: str(text) for name, text in value.items()} if isinstance(value, dict) else {}
