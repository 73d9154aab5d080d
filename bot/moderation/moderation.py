"""May this person ask this, here, now? Everything is checked before money is held."""

from bot.core.clock import Clock
from bot.core.errors import NotAllowed, Refused
from bot.core.fresh import Fresh
from bot.core.models import Model
from bot.core.people import Channel, User
from bot.core.storage import Database, Transaction
from bot.moderation.settings import WorkspaceSettings, settings_from
from bot.moderation.words import first_refused

FRESH_SECONDS = 1.0
"""How long refused words and pauses are believed before they are read again."""


class Moderation:
    """`always_allowed` names workspaces that need no permission, as (platform, workspace); `*` is any workspace."""

    def __init__(self, database: Database, clock: Clock, always_allowed: frozenset[tuple[str, str]]) -> None:
        self._database = database
        self._clock = clock
        self._always_allowed = always_allowed
        self._settings: Fresh[tuple[str, str], WorkspaceSettings] = Fresh(clock, FRESH_SECONDS)
        self._rules: Fresh[tuple[str, str], tuple[dict[str, str], list[str]]] = Fresh(clock, FRESH_SECONDS)

    async def admit(self, user: User) -> None:
        """Raises `NotAllowed` for an unknown workspace and `Refused` for a blocked person; says what to do."""
        async with self._database.read() as tx:
            allowed = self._is_allowed(user) or await tx.people.is_workspace_allowed(user.platform, user.workspace)
            blocked = await tx.people.blocked_until(user)
        if not allowed:
            raise NotAllowed(f"This workspace is not on my list yet. Ask my owner to allow it: {user.workspace}.")
        if blocked is not None and blocked[0] > self._clock.now():
            reason = f" ({blocked[1]})" if blocked[1] else ""
            raise Refused(f"You are blocked here until {blocked[0]:%d %B %H:%M} UTC{reason}. Ask a moderator.")

    async def check(self, tx: Transaction, user: User, channel: Channel, model: Model, words: str) -> None:
        """Raises `Refused` for refused words, paused models and adult models where they do not belong."""
        pauses, unwanted = await self._rules.get((user.platform, user.workspace), lambda: _rules(tx, user))
        refused = first_refused(words, unwanted)
        for what in ("all", f"platform:{user.platform}", f"model:{model.key}"):
            if what in pauses:
                reason = f": {pauses[what]}" if pauses[what] else ""
                raise Refused(f"{model.title} is paused at the moment{reason}. Please try again later.")
        if refused is not None:
            raise Refused("That has a word in it which is not wanted here. Please say it differently.")
        if model.is_adult and not channel.is_age_restricted:
            raise Refused(f"{model.title} runs in age-restricted channels only.")

    async def settings_of(self, platform: str, workspace: str) -> WorkspaceSettings:
        """What a workspace decided for itself."""
        return await self._settings.get((platform, workspace), lambda: self._read_settings(platform, workspace))

    async def _read_settings(self, platform: str, workspace: str) -> WorkspaceSettings:
        async with self._database.read() as tx:
            return settings_from(await tx.policies.of(platform, workspace))

    async def note_refusal(self, user: User, what: str) -> None:
        """Keep a trace of a verb that was tried without the rank for it."""
        async with self._database.write() as tx:
            actor = f"{user.platform}:{user.workspace}:{user.id}"
            await tx.audit.add(actor, "refused", {"what": what}, self._clock.now())

    async def note_report(self, user: User, job: str) -> None:
        """Keep who reported which job."""
        async with self._database.write() as tx:
            actor = f"{user.platform}:{user.workspace}:{user.id}"
            await tx.audit.add(actor, "job.reported", {"job": job}, self._clock.now())

    def _is_allowed(self, user: User) -> bool:
        return bool({(user.platform, user.workspace), (user.platform, "*")} & self._always_allowed)


async def _rules(tx: Transaction, user: User) -> tuple[dict[str, str], list[str]]:
    """What is paused and why, and the words refused where somebody asks."""
    return await tx.moderation.pauses(), await tx.moderation.words(user.platform, user.workspace)
