"""May this person ask this, here, now? Everything is checked before money is held."""

import contextlib
from collections.abc import Collection, Mapping, Sequence

from bot.core.clock import Clock
from bot.core.errors import EaselError, NotAllowed, Refused
from bot.core.fresh import Fresh
from bot.core.invocations import Said
from bot.core.json import JSON
from bot.core.models import Model, OutputKind
from bot.core.naming import channel_named, person_linked
from bot.core.people import Channel, User
from bot.moderation.desk import Desk
from bot.moderation.settings import WorkspaceSettings, settings_from
from bot.moderation.spans import end_told
from bot.moderation.words import first_refused
from bot.storage.database import Database, Transaction

FRESH_SECONDS = 1.0
"""How long refused words, pauses and settings are believed before they are read again."""

REFUSAL_SECONDS = 60.0
"""The same person refused the same thing leaves one trace in so long."""


REPORT_SECONDS = 3_600.0
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
        self.desk = Desk(database, clock, needs_no_permission=self.needs_no_permission, forget_rules=self.forget_rules)
        self._settings: Fresh[tuple[str, str], WorkspaceSettings] = Fresh(clock, FRESH_SECONDS)
        self._rules: Fresh[tuple[str, str], tuple[dict[str, str], list[str]]] = Fresh(clock, FRESH_SECONDS)
        self._reported: Fresh[tuple[str, str], None] = Fresh(clock, REPORT_SECONDS)
        self._noted: Fresh[tuple[str, str], None] = Fresh(clock, REFUSAL_SECONDS)

    # At every call and every press.

    async def admit(self, user: User) -> None:
        """Raises `NotAllowed` for an unknown workspace and `Refused` for a blocked person; says what to do.

        A block does not hold against who administers the workspace: no moderator can lock out its administrators.
        """
        async with self._database.read() as tx:
            allowed = self.needs_no_permission(user) or await tx.people.is_workspace_allowed(
                user.platform, user.workspace
            )
            blocked = await tx.people.get_block(user)
        if not allowed:
            who = self.contact(user.platform)
            who += "," if "," in who else ""
            raise NotAllowed(
                f"This workspace is not on my list yet. Ask {who} to allow it, with /setup here: {user.workspace}."
            )
        if blocked is not None and blocked[0] > self._clock.now() and not self._is_above_blocks(user):
            reason = f": {blocked[1]}" if blocked[1] else ""
            zone = (await self.settings_of(user.platform, user.workspace)).time_zone
            raise Refused(f"You are blocked here {end_told(blocked[0], zone)}{reason}. Ask a moderator.")

    def contact(self, platform: str) -> str:
        """Whom to ask for what only an owner may do, as people of that platform find them."""
        here = [
            named for known, _, user in self._owners if known == platform and (named := person_linked(platform, user))
        ]
        return " or ".join(["my owner", *here[:3]]).replace("my owner or ", "my owner, ", 1)

    def _is_above_blocks(self, user: User) -> bool:
        names = {(user.platform, "", user.id), (user.platform, user.workspace, user.id)}
        return user.is_administrator or user.is_owner or bool(names & set(self._owners))

    def needs_no_permission(self, user: User) -> bool:
        """Whether the bot's own settings allow the workspace somebody is in."""
        return bool({(user.platform, user.workspace), (user.platform, "*")} & self._always_allowed)

    # Inside the transaction that makes an ask owed.

    async def check(self, tx: Transaction, user: User, channel: Channel, model: Model, words: str) -> None:
        """Raises `Refused` for refused words, pauses, wrong channels, and adult models where they do not belong."""
        key = (user.platform, user.workspace)
        pauses, unwanted = await self._rules.get(key, lambda: _rules(tx, user))
        settings = await self._settings.get(key, lambda: _read_settings(tx, *key))
        _check_pauses(pauses, user, model)
        _check_channel(settings, channel)
        if first_refused(words, unwanted) is not None:
            raise Refused("That has a word in it which is not wanted here. Please say it differently.")
        if model.is_adult and settings.adult == "off":
            raise Refused(f"{model.title} is for adults, and this workspace does without such models.")
        if model.is_adult and settings.flagged == "refuse" and model.output is OutputKind.PICTURES:
            raise Refused(f"{model.title} is for adults, and this workspace shows no such pictures.")
        if model.is_adult and not channel.is_age_restricted:
            raise Refused(f"{model.title} runs in age-restricted channels only.")

    async def without_refused(self, user: User, earlier: Sequence[Said]) -> tuple[Said, ...]:
        """What was said in a thread before, as far as no refused word is in it: no model is told the rest."""
        _, unwanted = await self._rules_of(user)
        return tuple(said for said in earlier if first_refused(said.text, unwanted) is None)

    async def _rules_of(self, user: User) -> tuple[dict[str, str], list[str]]:
        async def read() -> tuple[dict[str, str], list[str]]:
            async with self._database.read() as tx:
                return await _rules(tx, user)

        return await self._rules.get((user.platform, user.workspace), read)

    # Settings.

    async def settings_of(self, platform: str, workspace: str) -> WorkspaceSettings:
        """What a workspace decided for itself."""
        return await self._settings.get((platform, workspace), lambda: self._read_settings(platform, workspace))

    def forget_settings(self, platform: str, workspace: str) -> None:
        """They were changed here: the next look reads them again."""
        self._settings.forget((platform, workspace))

    async def _read_settings(self, platform: str, workspace: str) -> WorkspaceSettings:
        async with self._database.read() as tx:
            return await _read_settings(tx, platform, workspace)

    # Rules.

    async def is_allowed(self, user: User) -> bool:
        """Whether the workspace somebody is in may use the bot."""
        async with self._database.read() as tx:
            return self.needs_no_permission(user) or await tx.people.is_workspace_allowed(user.platform, user.workspace)

    async def first_refused(self, user: User, text: str) -> str | None:
        """The refused word that a text would be refused for."""
        return first_refused(text, (await self._rules_of(user))[1])

    def forget_rules(self, platform: str = "", workspace: str = "") -> None:
        """Words of a workspace were changed here, or pauses: the next look reads them again."""
        if platform:
            self._rules.forget((platform, workspace))
        else:
            self._rules.forget_all()

    # Traces.

    async def note(self, user: User, action: str, facts: Mapping[str, JSON]) -> None:
        """Keep who did what."""
        async with self._database.write() as tx:
            await self._note(tx, user, action, facts)

    async def meet(self, people: Sequence[User]) -> None:
        """Remember people who were named here before they asked anything."""
        if people:
            async with self._database.write() as tx:
                for one in people:
                    await tx.people.upsert_user(one, self._clock.now())

    async def note_refusal(self, user: User, what: str) -> None:
        """Keep a trace of a verb that was tried without the rank for it: one a minute, however often it is tried."""
        with contextlib.suppress(EaselError):  # a trace is worth having, but not more than the answer
            await self._noted.get((user.actor, what), lambda: self.note(user, "refused", {"what": what}))

    async def note_report(self, user: User, job: str) -> bool:
        """Keep who reported which job; False where the same person reported it within the hour."""
        is_new = False

        async def note() -> None:
            nonlocal is_new
            await self.note(user, "job.reported", {"job": job})
            is_new = True

        await self._reported.get((user.actor, job), note)
        return is_new

    async def _note(self, tx: Transaction, user: User, action: str, facts: Mapping[str, JSON]) -> None:
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
            raise Refused(f"{name} is paused at the moment{reason}. Please try again later.")


def _check_channel(settings: WorkspaceSettings, channel: Channel) -> None:
    if settings.channels and not _names_of(channel) & settings.channels:
        names = [channel_named(channel.platform, name) for name in sorted(settings.channels)]
        raise Refused(f"I am not to be used in this channel. Ask me in {' or '.join(names[:5])}.")


def _names_of(channel: Channel) -> set[str]:
    """What a channel may be called: by its id, its thread's, or its name where its id begins with a person's (page)."""
    return {channel.id, channel.thread, channel.id.rpartition(".")[2]} - {""}


async def _rules(tx: Transaction, user: User) -> tuple[dict[str, str], list[str]]:
    """What is paused and why, and the words refused where somebody asks."""
    return await tx.moderation.list_pauses(), await tx.moderation.list_words(user.platform, user.workspace)


async def _read_settings(tx: Transaction, platform: str, workspace: str) -> WorkspaceSettings:
    return settings_from(await tx.policies.list_policies(platform, workspace))
