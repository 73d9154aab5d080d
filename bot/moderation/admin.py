"""The actions of moderators and owners: allow workspaces, block users, refuse words, pause models; all audited.

The votes of people on chat answers are recorded here, and listed for moderators.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from bot.core.clock import Clock
from bot.core.errors import BadOption
from bot.core.jobs import Job, Vote
from bot.core.json import JSON
from bot.core.people import BOT, Actor, User
from bot.moderation.words import fold
from bot.storage.conversations import FeedbackRow
from bot.storage.database import Database, Transaction
from bot.storage.moderation import AuditRow, PauseTarget, format_pause_target

MAX_WORDS = 2_000

USER_ID_FACTS = ("user", "to", "of", "id")
"""Facts of audit rows that may hold a user's id."""


class ModerationAdmin:
    """Changes the rules of a workspace. The dispatcher has checked the rank of `by`, the acting user."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        is_always_allowed: Callable[[User], bool],
        invalidate_rules: Callable[..., None],
    ) -> None:
        """`invalidate_rules` is called with platform and workspace for changed words, without both for pauses."""
        self._database = database
        self._clock = clock
        self._is_always_allowed = is_always_allowed
        self._invalidate_rules = invalidate_rules

    # Workspaces.

    async def allow_workspace(self, by: User) -> bool:
        """Allow the workspace of `by` to use the bot; return False if the bot's own settings already allow it."""
        if self._is_always_allowed(by):
            return False
        async with self._database.write() as tx:
            await tx.people.allow_workspace(by.platform, by.workspace, self._clock.now())
            await self._record(tx, by, "workspace.allowed", {})
        return True

    async def forbid_workspace(self, by: User) -> None:
        """Withdraw the permission. Raise `BadOption` if the bot's own settings allow the workspace."""
        if self._is_always_allowed(by):
            raise BadOption(
                "This workspace is allowed by the bot's own settings (ALLOWED_WORKSPACES): take it out there.",
                option="allowed",
            )
        async with self._database.write() as tx:
            await tx.people.forbid_workspace(by.platform, by.workspace, self._clock.now(), is_removed=False)
            await self._record(tx, by, "workspace.forbidden", {})

    async def record_removal(self, platform: str, workspace: str) -> None:
        """Record the bot's removal from a workspace: its data expires, and a return needs a new permission."""
        async with self._database.write() as tx:
            await tx.people.forbid_workspace(platform, workspace, self._clock.now(), is_removed=True)
            await tx.audit.add(BOT, "workspace.left", {}, self._clock.now(), (platform, workspace))

    # People.

    async def block(self, by: User, user: User, until: datetime, reason: str) -> None:
        """Refuse all requests of a user in the workspace until a time."""
        async with self._database.write() as tx:
            await tx.people.set_block(user, until, reason)
            await self._record(tx, by, "user.blocked", {"user": user.id, "until": until.isoformat(), "reason": reason})

    async def unblock(self, by: User, user: User) -> bool:
        """End a block; return False if the user was not blocked."""
        async with self._database.write() as tx:
            block = await tx.people.get_block(user)
            if block is None:
                return False
            await tx.people.set_block(user, None, "")
            await self._record(tx, by, "user.unblocked", {"user": user.id})
        # A block that ran out keeps its row: for the moderator the user was not blocked any more.
        return block[0] > self._clock.now()

    # Words.

    async def list_words(self, user: User) -> list[str]:
        """Return the refused words of the user's workspace."""
        async with self._database.read() as tx:
            return await tx.moderation.list_words(user.platform, user.workspace)

    async def add_word(self, by: User, word: str) -> bool:
        """Add a refused word; return False for a known word. Raise `BadOption` for a text without letter or digit."""
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
        """Remove a refused word; return False if the workspace does not refuse the word."""
        word = _normalize_word(word)
        async with self._database.write() as tx:
            is_removed = await tx.moderation.remove_word(by.platform, by.workspace, word)
            if is_removed:
                await self._record(tx, by, "words.removed", {"word": word})
        self._invalidate_rules(by.platform, by.workspace)
        return is_removed

    # Pauses.

    async def list_pauses(self) -> dict[PauseTarget, str]:
        """Return the reason of each pause by the pause's target."""
        async with self._database.read() as tx:
            return await tx.moderation.list_pauses()

    async def pause(self, by: User, target: PauseTarget, reason: str | None) -> None:
        """Start a pause of a target, or end the pause with the reason None. Running jobs continue."""
        facts: dict[str, JSON] = {"what": format_pause_target(target)}
        facts |= {} if reason is None else {"reason": reason}
        async with self._database.write() as tx:
            await tx.moderation.set_pause(target, reason, by.id)
            await self._record(tx, by, "pause.ended" if reason is None else "pause.begun", facts)
        self._invalidate_rules()

    # Audit.

    async def read_audit(
        self, user: User, limit: int, *, actor: Actor | None = None, kind: str = ""
    ) -> tuple[list[AuditRow], dict[str, str]]:
        """Return the audit rows of the user's workspace, newest first, and its users' names by id."""
        place = (user.platform, user.workspace)
        async with self._database.read() as tx:
            rows = await tx.audit.list_rows(*place, limit, actor=actor, kind=kind)
            ids = {row.actor.user for row in rows}
            ids |= {str(row.facts.get(name, "")) for row in rows for name in USER_ID_FACTS}
            return rows, await tx.people.get_names(*place, sorted(ids - {""}))

    async def _record(self, tx: Transaction, by: User, action: str, facts: Mapping[str, JSON]) -> None:
        await tx.audit.add(by.actor, action, facts, self._clock.now())


def _normalize_word(text: str) -> str:
    """Return a word as stored: folded, so that all spellings of a word share one row."""
    word = " ".join(fold(text).split())
    if not any(character.isalnum() for character in word):
        raise BadOption(
            "word needs a letter or a digit: a word, some words, or a pattern such as badger*.", option="word"
        )
    return word


# Votes.


class Feedback:
    """The votes on chat answers: one for each person and answer, which the person may change."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, user: User, job: Job, vote: Vote | None, reason: str | None, *, is_private: bool) -> Vote:
        """Store a vote, a reason, or both; return the vote. Another vote than before drops the earlier reason.

        `is_private` hides the vote from moderators. Raise `BadOption` for a reason without a vote, now or before.
        """
        async with self._database.write() as tx:
            before = await tx.feedback.find(job.id, user)
            if vote is None and before is None:
                raise BadOption("Say whether the answer was good or not: vote up or down.", option="vote")
            chosen = vote or (before[0] if before else Vote.DOWN)
            kept = before[1] if before and before[0] is chosen else ""
            await tx.feedback.put(
                job.id,
                user,
                chosen,
                kept if reason is None else reason,
                self._clock.now(),
                is_private=is_private,
            )
        return chosen

    async def list_shown(self, by: User, votes: list[Vote], limit: int) -> list[FeedbackRow]:
        """Return the votes in the workspace of `by`, newest first, without votes on private answers."""
        async with self._database.read() as tx:
            return await tx.feedback.list_shown(by.platform, by.workspace, votes, limit)
