"""What moderators and owners do: allow workspaces, block people, refuse words, pause models. Each leaves its trace."""

from collections.abc import Callable, Mapping
from datetime import datetime

from bot.core.clock import Clock
from bot.core.errors import BadOption
from bot.core.json import JSON
from bot.core.people import User
from bot.moderation.words import fold
from bot.storage.database import Database, Transaction
from bot.storage.moderation import AuditRow

MAX_WORDS = 2_000

USER_ID_FACTS = ("user", "to", "of", "id")
"""Facts of the audit that may hold somebody's id."""


class ModerationAdmin:
    """Who may do what is known already: the dispatcher checks ranks. `by` is who does it, where they are."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        is_always_allowed: Callable[[User], bool],
        invalidate_rules: Callable[..., None],
    ) -> None:
        """`forget_rules(platform, workspace)` is told of changed words, and `forget_rules()` of changed pauses."""
        self._database = database
        self._clock = clock
        self._is_always_allowed = is_always_allowed
        self._invalidate_rules = invalidate_rules

    # Workspaces.

    async def allow_workspace(self, by: User) -> bool:
        """The workspace somebody is in may use the bot; False where it may anyhow, by the bot's own settings."""
        if self._is_always_allowed(by):
            return False
        async with self._database.write() as tx:
            await tx.people.allow_workspace(by.platform, by.workspace, self._clock.now())
            await self._record(tx, by, "workspace.allowed", {})
        return True

    async def forbid_workspace(self, by: User) -> None:
        """Take the permission back. Raises `BadOption` where the bot's own settings give it."""
        if self._is_always_allowed(by):
            raise BadOption(
                "This workspace is allowed by the bot's own settings (ALLOWED_WORKSPACES): take it out there.",
                option="allowed",
            )
        async with self._database.write() as tx:
            await tx.people.forbid_workspace(by.platform, by.workspace, self._clock.now(), is_removed=False)
            await self._record(tx, by, "workspace.forbidden", {})

    async def record_removal(self, platform: str, workspace: str) -> None:
        """The bot was thrown out of a workspace: its data goes when its time is up, and it must be allowed anew."""
        async with self._database.write() as tx:
            await tx.people.forbid_workspace(platform, workspace, self._clock.now(), is_removed=True)
            await tx.audit.add("bot", "workspace.left", {}, self._clock.now(), (platform, workspace))

    # People.

    async def block(self, by: User, user: User, until: datetime, reason: str) -> None:
        """Somebody may ask nothing here until then."""
        async with self._database.write() as tx:
            await tx.people.set_block(user, until, reason)
            await self._record(tx, by, "user.blocked", {"user": user.id, "until": until.isoformat(), "reason": reason})

    async def unblock(self, by: User, user: User) -> bool:
        """False when they were not blocked."""
        async with self._database.write() as tx:
            blocked = await tx.people.get_block(user)
            if blocked is None:
                return False
            await tx.people.set_block(user, None, "")
            await self._record(tx, by, "user.unblocked", {"user": user.id})
        return blocked[0] > self._clock.now()

    # Words.

    async def list_words(self, user: User) -> list[str]:
        """The words refused where somebody is."""
        async with self._database.read() as tx:
            return await tx.moderation.list_words(user.platform, user.workspace)

    async def add_word(self, by: User, word: str) -> bool:
        """Refuse a word from now on; False when it was refused already. Raises `BadOption` for what is no word."""
        word = _normalize_word(word)
        async with self._database.write() as tx:
            if len(await tx.moderation.list_words(by.platform, by.workspace)) >= MAX_WORDS:
                raise BadOption(f"There are {MAX_WORDS:,} words already. Take some out first.", option="word")
            is_new = await tx.moderation.add_word(by.platform, by.workspace, word, by.id)
            if is_new:
                await self._record(tx, by, "words.added", {"word": word})
        self._invalidate_rules(by.platform, by.workspace)
        return is_new

    async def remove_word(self, by: User, word: str) -> bool:
        """Let a word through again; False when it was not refused by this workspace."""
        word = _normalize_word(word)
        async with self._database.write() as tx:
            was_there = await tx.moderation.remove_word(by.platform, by.workspace, word)
            if was_there:
                await self._record(tx, by, "words.removed", {"word": word})
        self._invalidate_rules(by.platform, by.workspace)
        return was_there

    # Pauses.

    async def list_pauses(self) -> dict[str, str]:
        """What is paused (`all`, `platform:web`, `model:sdxl`) and why."""
        async with self._database.read() as tx:
            return await tx.moderation.list_pauses()

    async def pause(self, by: User, what: str, reason: str | None) -> None:
        """No new job of this starts until it is resumed, which a reason of None does. Running ones go on."""
        facts: Mapping[str, JSON] = {"what": what} if reason is None else {"what": what, "reason": reason}
        async with self._database.write() as tx:
            await tx.moderation.set_pause(what, reason, by.id)
            await self._record(tx, by, "pause.ended" if reason is None else "pause.begun", facts)
        self._invalidate_rules()

    # The record.

    async def read_audit(
        self, user: User, limit: int, *, actor: str = "", kind: str = ""
    ) -> tuple[list[AuditRow], dict[str, str]]:
        """What concerns somebody's workspace, newest first, and what the people in it are called, by id."""
        place = (user.platform, user.workspace)
        async with self._database.read() as tx:
            rows = await tx.audit.list_rows(
                *place, limit, actor=f"{place[0]}:{place[1]}:{actor}" if actor else "", kind=kind
            )
            ids = {row.actor.rpartition(":")[2] for row in rows}
            ids |= {str(row.facts.get(name, "")) for row in rows for name in USER_ID_FACTS}
            return rows, await tx.people.get_names(*place, sorted(ids - {""}))

    async def _record(self, tx: Transaction, by: User, action: str, facts: Mapping[str, JSON]) -> None:
        await tx.audit.add(by.actor, action, facts, self._clock.now())


def _normalize_word(text: str) -> str:
    """A word as it is kept: folded, so that it is one row however it is typed."""
    word = " ".join(fold(text).split())
    if not any(sign.isalnum() for sign in word):
        raise BadOption(
            "word needs a letter or a digit: a word, some words, or a pattern such as badger*.", option="word"
        )
    return word
