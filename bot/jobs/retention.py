"""Deletes prompts, conversations, pictures, secrets and traces after the retention time.

Each sweep runs small transactions, so users' requests are written in between. Several processes may sweep at once:
rows deleted by one process are not found by the next.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.background_tasks import BackgroundTasks
from bot.core.people import Workspace
from bot.jobs.deletion import BATCH_SIZE, PersonalData, forget_jobs
from bot.jobs.recovery import NOTICE_RETENTION
from bot.jobs.work import JobServices
from bot.moderation.moderation import format_setting_key
from bot.storage.database import Transaction

log = logging.getLogger(__name__)

TICK_SECONDS = 60.0
"""Expired tokens are erased at each tick."""

TICKS_PER_SWEEP = 60

# Owners ask about changes of settings and credits long after the drawn pictures are gone.
AUDIT_RETENTION = timedelta(days=365)

# Pictures are deleted to below the limit, so the next picture does not start another deletion.
TARGET_FILL_RATIO = 0.9


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """The limits from the settings: `days` for prompts, conversations and pictures."""

    days: int
    max_media_bytes: int


class Retention:
    """Sweeps at the start and every hour."""

    def __init__(self, services: JobServices, personal_data: PersonalData, limits: RetentionLimits) -> None:
        self._services = services
        self._personal_data = personal_data
        self._limits = limits
        self._tasks = BackgroundTasks("retention")
        self.tick_count = 0

    def start(self) -> None:
        """Start the sweeps in the background."""
        self._tasks.spawn(self._run(), "sweep")
        self._tasks.spawn(self._make_room(), "room")

    async def stop(self) -> None:
        """Stop, also in the middle of a sweep; the next start continues."""
        await self._tasks.cancel()

    async def sweep(self) -> None:
        """Delete all due data. A failing part is logged and does not stop the other parts."""
        now = self._services.clock.now()
        await self.forget_secrets()
        for part in (self._forget_words, self._forget_workspaces, self._forget_traces, self._limit_media):
            await _run_isolated(part, now)
        await _run_isolated(lambda _: self._personal_data.resume_deletions(), now)

    async def forget_secrets(self) -> None:
        """Delete expired interaction tokens, pending questions and login keys."""
        now = self._services.clock.now()
        async with self._services.database.write() as tx:
            await tx.messages.erase_expired_tokens(now)
            await tx.pending.delete_expired(now)
            await tx.erasure.delete_expired_keys(now)

    async def _run(self) -> None:
        while True:
            try:
                await (self.forget_secrets() if self.tick_count % TICKS_PER_SWEEP else self.sweep())
            except Exception:  # due rows stay due until the next tick
                log.exception("retention.stumbled")
            self.tick_count += 1
            await self._services.clock.sleep(TICK_SECONDS)

    async def _make_room(self) -> None:
        """Delete the oldest files whenever a new file does not fit: the hourly sweep alone would come too late."""
        media = self._services.media
        while True:
            await media.is_full.wait()
            await _run_isolated(lambda now: self._limit_media(now, is_full=True), self._services.clock.now())
            media.is_full.clear()
            media.wanted_bytes = 0

    async def _forget_words(self, now: datetime) -> None:
        """Delete old jobs, turns and page messages: of the whole bot, then of workspaces with a shorter retention."""
        await self._forget_before(now - timedelta(days=self._limits.days), None)
        async with self._services.database.read() as tx:
            policies = await tx.policies.list_by_key(format_setting_key("retention_days"))
        for policy in policies:
            if isinstance(policy.value, int) and 1 <= policy.value < self._limits.days:
                before = now - timedelta(days=policy.value)
                await self._forget_before(before, Workspace(policy.platform, policy.workspace))

    async def _forget_before(self, before: datetime, workspace: Workspace | None) -> None:
        while True:
            async with self._services.database.read() as tx:
                jobs = await tx.erasure.list_jobs_before(before, BATCH_SIZE, workspace)
            await forget_jobs(self._services, jobs)
            if len(jobs) < BATCH_SIZE:
                break
        await self._delete_in_batches(lambda tx: tx.erasure.delete_turns_before(before, BATCH_SIZE, workspace))
        await self._delete_in_batches(lambda tx: tx.erasure.delete_page_messages_before(before, BATCH_SIZE, workspace))

    async def _delete_in_batches(self, delete_some: Callable[[Transaction], Awaitable[int]]) -> None:
        """Call `delete_some`, each time in a new transaction, until fewer than `BATCH_SIZE` rows were deleted."""
        deleted_count = BATCH_SIZE
        while deleted_count >= BATCH_SIZE:
            async with self._services.database.write() as tx:
                deleted_count = await delete_some(tx)

    async def _forget_workspaces(self, now: datetime) -> None:
        """Erase the settings of workspaces after the bot was removed and the retention time of jobs passed."""
        async with self._services.database.read() as tx:
            removed = await tx.erasure.list_removed_workspaces(now - timedelta(days=self._limits.days))
        for workspace in removed:
            async with self._services.database.write() as tx:
                await tx.erasure.erase_workspace(workspace)

    async def _forget_traces(self, now: datetime) -> None:
        async with self._services.database.write() as tx:
            await tx.inbox.delete_before(now - NOTICE_RETENTION)
            await tx.audit.delete_before(now - AUDIT_RETENTION)

    async def _limit_media(self, now: datetime, *, is_full: bool = False) -> None:
        """Delete old files, and the oldest files beyond the size limit, except files of open jobs.

        With `is_full` a file waits for room, although the files do not exceed the limit yet.
        """
        files = await self._services.media.list_files()  # least recently used first
        oldest = now - timedelta(days=self._limits.days)
        total_bytes = sum(file.size_bytes for file in files)
        is_too_much = is_full or total_bytes > self._limits.max_media_bytes
        goal_bytes = self._limits.max_media_bytes * (TARGET_FILL_RATIO if is_too_much else 1)
        if is_full:
            goal_bytes = min(goal_bytes, self._limits.max_media_bytes - self._services.media.wanted_bytes)
        async with self._services.database.read() as tx:
            needed = await tx.erasure.list_needed_files()
        for file in files:
            if file.used_at >= oldest and total_bytes <= goal_bytes:
                break
            if file.sha256 in needed:
                continue
            async with self._services.database.write() as tx:
                # A user may have given, or a model made, the same file since: its row may be about to be written.
                if file.sha256 in await tx.erasure.list_needed_files() or self._services.media.is_used_since(file):
                    continue
                await tx.erasure.delete_outputs([file.sha256])
            await self._services.media.remove(file.sha256)
            total_bytes -= file.size_bytes


async def _run_isolated(part: Callable[[datetime], Awaitable[None]], now: datetime) -> None:
    try:
        await part(now)
    except Exception:  # the other parts are due all the same
        log.exception("retention.stumbled", extra={"part": getattr(part, "__name__", "")})
