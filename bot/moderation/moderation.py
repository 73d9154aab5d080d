"""Decide whether a user may make a request here and now, by the workspace's settings, blocks, refused words and ranks.

All checks run before money is held.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.errors import EaselError, NotAllowed, RequestRefused
from bot.core.invocations import EarlierMessage
from bot.core.json import JSON
from bot.core.limits import MAX_WORD_SEARCH_ON_LOOP
from bot.core.models import Model, OutputKind
from bot.core.people import Actor, Channel, Rank, User
from bot.core.platform import format_channel, format_person_link
from bot.core.time_format import format_end
from bot.moderation.admin import Feedback, ModerationAdmin
from bot.moderation.words import find_refused_word
from bot.storage.database import Database, Transaction
from bot.storage.moderation import PauseKind, PauseTarget
from bot.storage.policies import Policy

_SETTING_PREFIX = "setting:"
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
    tools: Mapping[str, bool] = field(default_factory=dict)
    """Whether chat models may draw and edit for the asker, by channel id; the entry `""` is for all other channels."""
    summaries: bool = False
    """Whether a chat model summarises a conversation that outgrows its context, at the cost of the person who asks."""
    feedback: bool = True
    """Whether answers of chat models have 👍 and 👎, for the moderators of the workspace."""
    voice: str = "off"
    """The answer to voice messages: none (`off`), in words (`text`), or in words and aloud (`speak`)."""
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
    recipes: bool = False
    """Whether pictures of ComfyUI keep the workflow that made them, with the words."""
    prompts: bool = True
    """Whether the delivered files of drawings say how they were made: prompt, seed, size and model."""
    confirm_above_credits: float = 0
    """A job with a higher maximum price needs a confirmation; 0 turns confirmations off."""

    run: str = "approved"
    """The models that /run takes: none (`off`), those on offer (`approved`), or also `anything` up to a price."""
    run_below_credits: float = 0
    """With `anything`: the most that a run of a model without approval may cost."""

    def get_default_model(self, task: str) -> str:
        """Return the key of the default model of a task; empty for the catalogue's first model."""
        return self.default_models.get(task, "")

    def may_use_tools(self, channel_id: str) -> bool:
        """Whether chat models may call tools in a channel, at the cost of the person who asks."""
        return self.tools.get(channel_id, self.tools.get("", False))

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
    return f"{_SETTING_PREFIX}{name}:{member}" if member else f"{_SETTING_PREFIX}{name}"


def parse_setting_key(key: str) -> tuple[str, str] | None:
    """Return the setting and the member behind a policy key; None for a policy that is no setting."""
    name, _, member = key.removeprefix(_SETTING_PREFIX).partition(":")
    return (name, member) if key.startswith(_SETTING_PREFIX) else None


def parse_settings(policies: Iterable[Policy]) -> WorkspaceSettings:
    """Return the settings from a workspace's policies. Unknown settings, from a newer version, are skipped."""
    values: dict[str, Any] = {}
    sets: dict[str, set[str]] = {name: set() for name in _SET_SETTINGS}
    models: dict[str, str] = {}
    tools: dict[str, bool] = {}
    for policy in policies:
        name, member = parse_setting_key(policy.key) or ("", "")
        if policy.scope != "workspace" or name not in SETTING_NAMES:
            continue
        if name in _SET_SETTINGS:
            sets[name] |= (
                {member} if member else set(map(str, policy.value)) if isinstance(policy.value, list) else set()
            )
        elif name == _MODELS:
            models |= {member: str(policy.value)} if member else _parse_texts(policy.value)
        elif name == "tools":
            tools[member] = policy.value is True
        else:
            values[name] = policy.value
    values |= {name: frozenset(members) for name, members in sets.items()}
    return WorkspaceSettings(default_models=models, tools=tools, **values)


def _parse_texts(value: JSON) -> dict[str, str]:
    return {name: str(text) for name, text in value.items()} if isinstance(value, dict) else {}


RULES_TTL_SECONDS = 1.0
"""The longest delay until a change by another process applies to refused words, pauses and settings."""

REFUSAL_INTERVAL_SECONDS = 60.0
"""Repeated refusals of one user for one action within this time leave one audit row."""

REPORT_INTERVAL_SECONDS = 3_600.0
"""Repeated reports of one job by one user within this time reach the moderators once."""


_Rules: TypeAlias = tuple[dict[PauseTarget, str], list[str]]


class Moderation:
    """Checks requests, and keeps the settings and the audit of workspaces.

    `always_allowed` lists workspaces that need no permission as (platform, workspace), with `*` for all workspaces.
    `owners` are (platform, workspace, user), for the texts that name the owner. `days_kept` is the bot's retention of
    requests, the maximum for a workspace's own setting.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        always_allowed: frozenset[tuple[str, str]],
        owners: Collection[tuple[str, str, str]] = (),
        days_kept: int = 30,
    ) -> None:
        self._database = database
        self._clock = clock
        self._always_allowed = always_allowed
        self._owners = owners
        self.days_kept = days_kept
        self.admin = ModerationAdmin(
            database, clock, is_always_allowed=self.is_always_allowed, invalidate_rules=self.invalidate_rules
        )
        self.feedback = Feedback(database, clock)
        self._settings: TtlCache[tuple[str, str], WorkspaceSettings] = TtlCache(clock, RULES_TTL_SECONDS)
        self._searching = asyncio.Semaphore(1)
        self._rules: TtlCache[tuple[str, str], _Rules] = TtlCache(clock, RULES_TTL_SECONDS)
        self._recent_reports: TtlCache[tuple[Actor, str], None] = TtlCache(clock, REPORT_INTERVAL_SECONDS)
        self._recent_refusals: TtlCache[tuple[Actor, str], None] = TtlCache(clock, REFUSAL_INTERVAL_SECONDS)

    # Checks of every call and press.

    async def admit(self, user: User) -> None:
        """Raise `NotAllowed` for an unknown workspace, `RequestRefused` for a blocked user, both with the next step."""
        async with self._database.read() as tx:
            is_allowed = self.is_always_allowed(user) or await tx.people.is_workspace_allowed(
                user.platform, user.workspace
            )
            block = await tx.people.get_block(user)
        if not is_allowed:
            contact = self.format_owner_contact(user.platform)
            contact += "," if "," in contact else ""
            raise NotAllowed(
                f"This workspace is not on my list yet. Ask {contact} to allow it, with /setup here: {user.workspace}."
            )
        if block is not None and block[0] > self._clock.now() and not self._is_exempt_from_blocks(user):
            reason = f": {block[1]}" if block[1] else ""
            zone = (await self.get_settings(user.platform, user.workspace)).time_zone
            raise RequestRefused(f"You are blocked here {format_end(block[0], zone)}{reason}. Ask a moderator.")

    def format_owner_contact(self, platform: str) -> str:
        """Return the owner's name in a sentence: "my owner", with links to at most three owners on that platform."""
        links = [
            link
            for owner_platform, _, user in self._owners
            if owner_platform == platform and (link := format_person_link(platform, user))
        ]
        return " or ".join(["my owner", *links[:3]]).replace("my owner or ", "my owner, ", 1)

    def _is_exempt_from_blocks(self, user: User) -> bool:
        # A moderator must not be able to lock out the administrators of a workspace.
        names = {(user.platform, "", user.id), (user.platform, user.workspace, user.id)}
        return user.is_administrator or user.is_owner or bool(names & set(self._owners))

    def is_always_allowed(self, user: User) -> bool:
        """Return whether the bot's own settings allow the user's workspace."""
        return bool({(user.platform, user.workspace), (user.platform, "*")} & self._always_allowed)

    # Checks inside the transaction that accepts a job.

    async def check_request(
        self, tx: Transaction, user: User, channel: Channel, model: Model, refused_word: str | None
    ) -> None:
        """Raise `RequestRefused` for a refused word, pauses, closed channels, and misplaced adult models.

        `refused_word` is the result of `find_refused_word`: a search inside the transaction would stop all writers.
        """
        key = (user.platform, user.workspace)
        pauses, _ = await self._rules.get(key, lambda: _read_rules(tx, user))
        settings = await self._settings.get(key, lambda: _read_settings(tx, *key))
        _check_pauses(pauses, user, model)
        _check_channel(settings, channel)
        if refused_word is not None:
            raise RequestRefused("That has a word in it which is not wanted here. Please say it differently.")
        if model.is_adult and settings.adult == "off":
            raise RequestRefused(f"{model.title} is for adults, and this workspace does without such models.")
        if model.is_adult and settings.flagged == "refuse" and model.output is OutputKind.PICTURES:
            raise RequestRefused(f"{model.title} is for adults, and this workspace shows no such pictures.")
        if model.is_adult and not channel.is_age_restricted:
            raise RequestRefused(f"{model.title} runs in age-restricted channels only.")

    async def remove_refused(
        self, user: User, earlier_messages: Sequence[EarlierMessage]
    ) -> tuple[EarlierMessage, ...]:
        """Return the earlier messages of a thread without refused words: no model reads the other messages."""
        _, refused_words = await self._get_rules(user)
        found = [await self._search(message.text, refused_words) for message in earlier_messages]
        return tuple(message for message, word in zip(earlier_messages, found, strict=True) if word is None)

    async def _search(self, text: str, words: Sequence[str]) -> str | None:
        if len(text) * len(words) <= MAX_WORD_SEARCH_ON_LOOP:
            return find_refused_word(text, words)
        # One thread at a time: the event loop waits for a single thread's turn at most, a few milliseconds.
        async with self._searching:
            return await asyncio.to_thread(find_refused_word, text, words)

    async def _get_rules(self, user: User) -> _Rules:
        async def read() -> _Rules:
            async with self._database.read() as tx:
                return await _read_rules(tx, user)

        return await self._rules.get((user.platform, user.workspace), read)

    # Settings.

    async def get_settings(self, platform: str, workspace: str) -> WorkspaceSettings:
        """Return the settings of a workspace."""
        return await self._settings.get((platform, workspace), lambda: self._read_settings(platform, workspace))

    def invalidate_settings(self, platform: str, workspace: str) -> None:
        """Forget cached settings after a change by this process."""
        self._settings.invalidate((platform, workspace))

    async def _read_settings(self, platform: str, workspace: str) -> WorkspaceSettings:
        async with self._database.read() as tx:
            return await _read_settings(tx, platform, workspace)

    # Rules.

    async def is_workspace_allowed(self, user: User) -> bool:
        """Return whether the user's workspace may use the bot."""
        async with self._database.read() as tx:
            return self.is_always_allowed(user) or await tx.people.is_workspace_allowed(user.platform, user.workspace)

    async def find_refused_word(self, user: User, text: str) -> str | None:
        """Return the first refused word in a text, or None."""
        return await self._search(text, (await self._get_rules(user))[1])

    def invalidate_rules(self, platform: str = "", workspace: str = "") -> None:
        """Forget the cached words of a workspace, or all rules after a changed pause."""
        if platform:
            self._rules.invalidate((platform, workspace))
        else:
            self._rules.clear()

    # Audit.

    async def record_action(self, user: User, action: str, facts: Mapping[str, JSON]) -> None:
        """Append an audit row."""
        async with self._database.write() as tx:
            await self._record(tx, user, action, facts)

    async def record_users(self, people: Sequence[User]) -> None:
        """Store users that a command names, so that the user can be found before the first own request."""
        if people:
            async with self._database.write() as tx:
                for user in people:
                    await tx.people.upsert_user(user, self._clock.now())

    async def record_refusal(self, user: User, what: str) -> None:
        """Append an audit row of an action without the needed rank, at most one a minute for a user and action."""

        async def record() -> None:
            await self.record_action(user, "refused", {"what": what})

        with contextlib.suppress(EaselError):  # the user must read the refusal also if the audit fails
            await self._recent_refusals.get((user.actor, what), record)

    async def record_report(self, user: User, job: str) -> bool:
        """Append an audit row of a reported job; return False if the user reported the job within the hour."""
        is_new = False

        async def record() -> None:
            nonlocal is_new
            await self.record_action(user, "job.reported", {"job": job})
            is_new = True

        await self._recent_reports.get((user.actor, job), record)
        return is_new

    async def _record(self, tx: Transaction, user: User, action: str, facts: Mapping[str, JSON]) -> None:
        await tx.audit.add(user.actor, action, facts, self._clock.now())


def _check_pauses(pauses: Mapping[PauseTarget, str], user: User, model: Model) -> None:
    targets = {
        PauseTarget(PauseKind.ALL): "Everything",
        PauseTarget(PauseKind.PLATFORM, user.platform): user.platform.title(),
        PauseTarget(PauseKind.MODEL, model.key): model.title,
    }
    for target, name in targets.items():
        if target in pauses:
            reason = f": {pauses[target]}" if pauses[target] else ""
            raise RequestRefused(f"{name} is paused at the moment{reason}. Please try again later.")


def _check_channel(settings: WorkspaceSettings, channel: Channel) -> None:
    if settings.channels and not _list_channel_names(channel) & settings.channels:
        names = [format_channel(channel.platform, name) for name in sorted(settings.channels)]
        raise RequestRefused(f"I am not to be used in this channel. Ask me in {' or '.join(names[:5])}.")


def _list_channel_names(channel: Channel) -> set[str]:
    """Return the names of a channel in settings: its id, its thread's id, and the page's name without the visitor."""
    return {channel.id, channel.thread, channel.id.rpartition(".")[2]} - {""}


async def _read_rules(tx: Transaction, user: User) -> _Rules:
    """Return the reasons of all pauses by target, and the refused words of the user's workspace."""
    return await tx.moderation.list_pauses(), await tx.moderation.list_words(user.platform, user.workspace)


async def _read_settings(tx: Transaction, platform: str, workspace: str) -> WorkspaceSettings:
    return parse_settings(await tx.policies.list_policies(platform, workspace))


# Ranks.


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Checks the rank of users. `owners` holds (platform, workspace or empty, user id)."""

    # With a workspace, since an id of a Slack user is unique only within a team.
    owners: Collection[tuple[str, str, str]]
    moderation: Moderation

    async def get_rank(self, user: User) -> Rank:
        """Return the rank of a user in the user's workspace."""
        if user.is_owner or {(user.platform, "", user.id), (user.platform, user.workspace, user.id)} & set(self.owners):
            return Rank.OWNER
        if user.is_administrator:
            return Rank.MODERATOR
        if not user.roles:
            return Rank.USER
        settings = await self.moderation.get_settings(user.platform, user.workspace)
        return Rank.MODERATOR if settings.moderator_roles & user.roles else Rank.USER

    async def require(self, user: User, rank: Rank, action: str) -> Rank:
        """Return the user's rank, `USER` without a look-up if `USER` is enough.

        Raise `NotAllowed`, whose text names the people with the rank, if the user's rank is lower than `rank`.
        """
        if rank is Rank.USER:
            return Rank.USER
        user_rank = await self.get_rank(user)
        if user_rank < rank:
            allowed = (
                "a moderator of this workspace"
                if rank is Rank.MODERATOR
                else self.moderation.format_owner_contact(user.platform)
            )
            raise NotAllowed(f"{action} is for {allowed}.")
        return user_rank
