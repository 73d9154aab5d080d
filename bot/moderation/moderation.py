"""May this person ask this, here, now? Everything is checked before money is held."""

import contextlib
from collections.abc import Collection, Mapping, Sequence

from bot.core.clock import Clock
from bot.core.errors import EaselError, NotAllowed, RequestRefused
from bot.core.invocations import EarlierMessage
from bot.core.json import JSON
from bot.core.models import Model, OutputKind
from bot.core.people import Channel, User
from bot.core.platform_syntax import format_channel, format_person_link
from bot.core.ttl_cache import TtlCache
from bot.moderation.admin import ModerationAdmin
from bot.moderation.durations import format_end
from bot.moderation.settings import WorkspaceSettings, parse_settings
from bot.moderation.words import find_refused_word
from bot.storage.database import Database, Transaction

RULES_TTL_SECONDS = 1.0
"""How long refused words, pauses and settings are believed before they are read again."""

REFUSAL_INTERVAL_SECONDS = 60.0
"""The same person refused the same thing leaves one trace in so long."""


REPORT_INTERVAL_SECONDS = 3_600.0
"""The same job reported by the same person is told to the moderators once in so long."""


class Moderation:
    """`always_allowed` names workspaces that need no permission, as (platform, workspace); `*` is any workspace.

    `owners` as in `Ranks`: whom to ask for what only they may do. `days_kept` is how long the bot keeps what was asked,
    and a workspace at most.
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
        self._settings: TtlCache[tuple[str, str], WorkspaceSettings] = TtlCache(clock, RULES_TTL_SECONDS)
        self._rules: TtlCache[tuple[str, str], tuple[dict[str, str], list[str]]] = TtlCache(clock, RULES_TTL_SECONDS)
        self._reported: TtlCache[tuple[str, str], None] = TtlCache(clock, REPORT_INTERVAL_SECONDS)
        self._noted: TtlCache[tuple[str, str], None] = TtlCache(clock, REFUSAL_INTERVAL_SECONDS)

    # At every call and every press.

    async def admit(self, user: User) -> None:
        """Raises `NotAllowed` for an unknown workspace and `Refused` for a blocked person; says what to do.

        A block does not hold against who administers the workspace: no moderator can lock out its administrators.
        """
        async with self._database.read() as tx:
            allowed = self.is_always_allowed(user) or await tx.people.is_workspace_allowed(
                user.platform, user.workspace
            )
            blocked = await tx.people.get_block(user)
        if not allowed:
            who = self.format_owner_contact(user.platform)
            who += "," if "," in who else ""
            raise NotAllowed(
                f"This workspace is not on my list yet. Ask {who} to allow it, with /setup here: {user.workspace}."
            )
        if blocked is not None and blocked[0] > self._clock.now() and not self._is_exempt_from_blocks(user):
            reason = f": {blocked[1]}" if blocked[1] else ""
            zone = (await self.get_settings(user.platform, user.workspace)).time_zone
            raise RequestRefused(f"You are blocked here {format_end(blocked[0], zone)}{reason}. Ask a moderator.")

    def format_owner_contact(self, platform: str) -> str:
        """Whom to ask for what only an owner may do, as people of that platform find them."""
        here = [
            named
            for known, _, user in self._owners
            if known == platform and (named := format_person_link(platform, user))
        ]
        return " or ".join(["my owner", *here[:3]]).replace("my owner or ", "my owner, ", 1)

    def _is_exempt_from_blocks(self, user: User) -> bool:
        names = {(user.platform, "", user.id), (user.platform, user.workspace, user.id)}
        return user.is_administrator or user.is_owner or bool(names & set(self._owners))

    def is_always_allowed(self, user: User) -> bool:
        """Whether the bot's own settings allow the workspace somebody is in."""
        return bool({(user.platform, user.workspace), (user.platform, "*")} & self._always_allowed)

    # Inside the transaction that makes an ask owed.

    async def check_request(self, tx: Transaction, user: User, channel: Channel, model: Model, words: str) -> None:
        """Raises `Refused` for refused words, pauses, wrong channels, and adult models where they do not belong."""
        key = (user.platform, user.workspace)
        pauses, unwanted = await self._rules.get(key, lambda: _read_rules(tx, user))
        settings = await self._settings.get(key, lambda: _read_settings(tx, *key))
        _check_pauses(pauses, user, model)
        _check_channel(settings, channel)
        if find_refused_word(words, unwanted) is not None:
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
        """What was said in a thread before, as far as no refused word is in it: no model is told the rest."""
        _, unwanted = await self._get_rules(user)
        return tuple(said for said in earlier_messages if find_refused_word(said.text, unwanted) is None)

    async def _get_rules(self, user: User) -> tuple[dict[str, str], list[str]]:
        async def read() -> tuple[dict[str, str], list[str]]:
            async with self._database.read() as tx:
                return await _read_rules(tx, user)

        return await self._rules.get((user.platform, user.workspace), read)

    # Settings.

    async def get_settings(self, platform: str, workspace: str) -> WorkspaceSettings:
        """What a workspace decided for itself."""
        return await self._settings.get((platform, workspace), lambda: self._read_settings(platform, workspace))

    def invalidate_settings(self, platform: str, workspace: str) -> None:
        """They were changed here: the next look reads them again."""
        self._settings.invalidate((platform, workspace))

    async def _read_settings(self, platform: str, workspace: str) -> WorkspaceSettings:
        async with self._database.read() as tx:
            return await _read_settings(tx, platform, workspace)

    # Rules.

    async def is_workspace_allowed(self, user: User) -> bool:
        """Whether the workspace somebody is in may use the bot."""
        async with self._database.read() as tx:
            return self.is_always_allowed(user) or await tx.people.is_workspace_allowed(user.platform, user.workspace)

    async def find_refused_word(self, user: User, text: str) -> str | None:
        """The refused word that a text would be refused for."""
        return find_refused_word(text, (await self._get_rules(user))[1])

    def invalidate_rules(self, platform: str = "", workspace: str = "") -> None:
        """Words of a workspace were changed here, or pauses: the next look reads them again."""
        if platform:
            self._rules.invalidate((platform, workspace))
        else:
            self._rules.clear()

    # Traces.

    async def record_action(self, user: User, action: str, facts: Mapping[str, JSON]) -> None:
        """Keep who did what."""
        async with self._database.write() as tx:
            await self._record(tx, user, action, facts)

    async def record_users(self, people: Sequence[User]) -> None:
        """Remember people who were named here before they asked anything."""
        if people:
            async with self._database.write() as tx:
                for one in people:
                    await tx.people.upsert_user(one, self._clock.now())

    async def record_refusal(self, user: User, what: str) -> None:
        """Keep a trace of a verb that was tried without the rank for it: one a minute, however often it is tried."""
        with contextlib.suppress(EaselError):  # a trace is worth having, but not more than the answer
            await self._noted.get((user.actor, what), lambda: self.record_action(user, "refused", {"what": what}))

    async def record_report(self, user: User, job: str) -> bool:
        """Keep who reported which job; False where the same person reported it within the hour."""
        is_new = False

        async def note() -> None:
            nonlocal is_new
            await self.record_action(user, "job.reported", {"job": job})
            is_new = True

        await self._reported.get((user.actor, job), note)
        return is_new

    async def _record(self, tx: Transaction, user: User, action: str, facts: Mapping[str, JSON]) -> None:
        await tx.audit.add(user.actor, action, facts, self._clock.now())


def _check_pauses(pauses: Mapping[str, str], user: User, model: Model) -> None:
    paused = {
        "all": "Everything",
        f"platform:{user.platform}": user.platform.title(),
        f"model:{model.key}": model.title,
    }
    for what, name in paused.items():
        if what in pauses:
            reason = f": {pauses[what]}" if pauses[what] else ""
            raise RequestRefused(f"{name} is paused at the moment{reason}. Please try again later.")


def _check_channel(settings: WorkspaceSettings, channel: Channel) -> None:
    if settings.channels and not _list_channel_names(channel) & settings.channels:
        names = [format_channel(channel.platform, name) for name in sorted(settings.channels)]
        raise RequestRefused(f"I am not to be used in this channel. Ask me in {' or '.join(names[:5])}.")


def _list_channel_names(channel: Channel) -> set[str]:
    """What a channel may be called: by its id, its thread's, or its name where its id begins with a person's (page)."""
    return {channel.id, channel.thread, channel.id.rpartition(".")[2]} - {""}


async def _read_rules(tx: Transaction, user: User) -> tuple[dict[str, str], list[str]]:
    """What is paused and why, and the words refused where somebody asks."""
    return await tx.moderation.list_pauses(), await tx.moderation.list_words(user.platform, user.workspace)


async def _read_settings(tx: Transaction, platform: str, workspace: str) -> WorkspaceSettings:
    return parse_settings(await tx.policies.list_policies(platform, workspace))
