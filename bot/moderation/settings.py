"""What a workspace decided for itself, over the defaults."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from bot.core.json import JSON
from bot.storage.policies import Policy

SETTING_PREFIX = "setting:"
"""Settings are policies of the workspace whose key begins so."""


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """Each field is a setting of `/settings`; its default holds where nobody chose."""

    default_models: Mapping[str, str] = field(default_factory=dict)
    """The model of each task, by its key; the catalogue's first where none is named."""
    channels: frozenset[str] = frozenset()
    """The channels it may be used in; everywhere when empty."""
    system_prompt: str = ""
    language: str = ""
    time_zone: str = "UTC"
    adult: str = "age_restricted"
    """`off`, or `age_restricted`: models for adults in age-restricted channels."""
    flagged: str = "spoiler"
    """What happens to pictures that the model flags: `spoiler` or `refuse`."""
    join: str = "everyone"
    """Who may go on with a conversation: `everyone`, or the `starter` alone."""
    mention: str = "thread"
    """Where a mention is answered: in a `thread` of its own, as a `reply`, or not at all (`off`)."""
    moderator_roles: frozenset[str] = frozenset()
    """Roles or user groups whose members are moderators, by id."""
    moderator_channel: str = ""
    """Where reports and notices go, by id."""
    retention_days: int | None = None
    """How long prompts, conversations and pictures are kept; never longer than the bot's own RETENTION_DAYS."""
    reuse: bool = False
    """Whether an identical finished request may be answered from what was kept, for nothing."""
    confirm_above_credits: float = 0
    """Above this price a button asks first; 0 never asks."""

    def get_default_model(self, task: str) -> str:
        """The key of the model that answers where nobody names one; empty for the catalogue's first."""
        return self.default_models.get(task, "")

    def build_system_prompt(self, default_prompt: str) -> str:
        """What a chat model is told before a new conversation; `usual` is what the bot's own settings say."""
        told = self.system_prompt or default_prompt
        return f"{told} Answer in {self.language}.".strip() if self.language else told


_SET_SETTINGS = frozenset({"channels", "moderator_roles"})
_MODELS = "default_models"
SETTING_NAMES = tuple(one.name for one in fields(WorkspaceSettings))


def format_setting_key(name: str, member: str = "") -> str:
    """The policy that holds a setting. A member of a set has one of its own, so that of two who add at once both do."""
    return f"{SETTING_PREFIX}{name}:{member}" if member else f"{SETTING_PREFIX}{name}"


def parse_settings(policies: Iterable[Policy]) -> WorkspaceSettings:
    """A workspace's settings from its policies; what this version does not know is left alone."""
    given: dict[str, Any] = {}
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
            models |= {member: str(policy.value)} if member else _texts(policy.value)
        else:
            given[name] = policy.value
    given |= {name: frozenset(members) for name, members in sets.items()}
    return WorkspaceSettings(default_models=models, **given)


def _texts(value: JSON) -> dict[str, str]:
    return {name: str(text) for name, text in value.items()} if isinstance(value, dict) else {}
