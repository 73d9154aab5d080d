"""What is kept only so long: prompts, conversations, pictures, secrets and traces go when their time is up.

Everything happens in small transactions, so that people's asks come in between. Several processes may sweep at once:
whatever one has taken away the next does not find.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.people import Workspace
from bot.jobs.deletion import BATCH_SIZE, PersonalData, forget_jobs
from bot.jobs.work import JobServices
from bot.moderation.settings import format_setting_key
from bot.storage.database import Transaction

log = logging.getLogger(__name__)

TICK_SECONDS = 60.0
"""How often tokens that ran out are erased."""
TICKS_PER_SWEEP = 60
NOTICE_RETENTION = timedelta(hours=1)
AUDIT_RETENTION = timedelta(days=365)
"""Who changed what is asked about long after what was drawn."""
TARGET_FILL_RATIO = 0.9
"""Pictures over their limit are deleted down to this share of it, so that the next one does not start it again."""


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """How long prompts, conversations and pictures are kept, in days, and how many bytes of pictures."""

    days: int
    max_media_bytes: int


class Retention:
    """Sweeps at the start and every hour from then on."""

    def __init__(self, services: JobServices, personal_data: PersonalData, limits: RetentionLimits) -> None:
        self._services = services
        self._personal_data = personal_data
        self._limits = limits
        self._sweeping: asyncio.Task[None] | None = None
        self.tick_count = 0
        """How often it looked what is due."""

    def start(self) -> None:
        """Sweep from now on."""
        self._sweeping = asyncio.create_task(self._run(), name="retention")

    async def stop(self) -> None:
        """Sweep no more; what is half done is done at the next start."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def sweep(self) -> None:
        """All that is due now. One part that fails does not keep the others."""
        now = self._services.clock.now()
        await self.forget_secrets()
        for part in (self._forget_words, self._forget_places, self._forget_traces):
            await _run_isolated(part, now)
        await _run_isolated(self._limit_media, now)
        await _run_isolated(lambda _: self._personal_data.resume_deletions(), now)

    async def forget_secrets(self) -> None:
        """Tokens of interactions, questions and invitations that ran out."""
        now = self._services.clock.now()
        async with self._services.database.write() as tx:
            await tx.messages.erase_expired_tokens(now)
            await tx.pending.delete_expired(now)
            await tx.erasure.delete_expired_keys(now)

    async def _run(self) -> None:
        while True:
            try:
                await (self.forget_secrets() if self.tick_count % TICKS_PER_SWEEP else self.sweep())
            except Exception:  # what is due stays due, and the next tick finds it
                log.exception("retention.stumbled")
            self.tick_count += 1
            await self._services.clock.sleep(TICK_SECONDS)

    async def _forget_words(self, now: datetime) -> None:
        """Jobs, turns and the page's messages that are too old: of the whole bot, then of those who keep less."""
        await self._forget_before(now - timedelta(days=self._limits.days), None)
        async with self._services.database.read() as tx:
            shorter = await tx.policies.list_by_key(format_setting_key("retention_days"))
        for policy in shorter:
            if isinstance(policy.value, int) and 1 <= policy.value < self._limits.days:
                before = now - timedelta(days=policy.value)
                await self._forget_before(before, Workspace(policy.platform, policy.workspace))

    async def _forget_before(self, before: datetime, place: Workspace | None) -> None:
        while True:
            async with self._services.database.read() as tx:
                jobs = await tx.erasure.list_jobs_before(before, BATCH_SIZE, place)
            await forget_jobs(self._services, jobs)
            if len(jobs) < BATCH_SIZE:
                break
        await self._forget_in_batches(lambda tx: tx.erasure.delete_turns_before(before, BATCH_SIZE, place))
        await self._forget_in_batches(lambda tx: tx.erasure.delete_page_messages_before(before, BATCH_SIZE, place))

    async def _forget_in_batches(self, forget_some: Callable[[Transaction], Awaitable[int]]) -> None:
        gone = BATCH_SIZE
        while gone >= BATCH_SIZE:
            async with self._services.database.write() as tx:
                gone = await forget_some(tx)

    async def _forget_places(self, now: datetime) -> None:
        """What was set in workspaces that the bot was removed from, once their jobs are forgotten too."""
        async with self._services.database.read() as tx:
            removed = await tx.erasure.list_removed_workspaces(now - timedelta(days=self._limits.days))
        for place in removed:
            async with self._services.database.write() as tx:
                await tx.erasure.erase_workspace(place)

    async def _forget_traces(self, now: datetime) -> None:
        async with self._services.database.write() as tx:
            await tx.inbox.delete_before(now - NOTICE_RETENTION)
            await tx.audit.delete_before(now - AUDIT_RETENTION)

    async def _limit_media(self, now: datetime) -> None:
        """Files that are too old, and the oldest of those that are too much; never one that an open job needs."""
        files = await self._services.media.list_files()
        too_old = now - timedelta(days=self._limits.days)
        total = sum(file.size_bytes for file in files)
        goal = (
            self._limits.max_media_bytes
            if total <= self._limits.max_media_bytes
            else self._limits.max_media_bytes * TARGET_FILL_RATIO
        )
        async with self._services.database.read() as tx:
            needed = await tx.erasure.list_needed_files()
        for file in files:
            if file.used_at >= too_old and total <= goal:
                break
            if file.sha256 in needed:
                continue
            async with self._services.database.write() as tx:
                # What was given or made again since the list was: its row may be about to be written.
                if file.sha256 in await tx.erasure.list_needed_files() or self._services.media.is_used_since(file):
                    continue
                await tx.erasure.delete_outputs([file.sha256])
            await self._services.media.remove(file.sha256)
            total -= file.size_bytes


async def _run_isolated(part: Callable[[datetime], Awaitable[None]], now: datetime) -> None:
    try:
        await part(now)
    except Exception:  # the other parts are due all the same
        log.exception("retention.stumbled", extra={"part": getattr(part, "__name__", "")})
