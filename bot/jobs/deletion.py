"""Deletes jobs and persons: words, messages and files go; amounts of money stay.

The Delete button deletes one job, and `/privacy delete` deletes everything of a person. Retention deletes prompts,
conversations, pictures, secrets and traces after the retention time: each sweep runs small transactions, so users'
requests are written in between. Several processes may sweep at once: rows deleted by one process are not found by the
next.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from bot.core.backend import Backend
from bot.core.background_tasks import BackgroundTasks
from bot.core.errors import BackendError, LimitReached
from bot.core.fair_queue import FairQueue
from bot.core.invocations import PendingAction
from bot.core.jobs import Job
from bot.core.json import JSON
from bot.core.limits import EXPORT_MAX_BYTES, EXPORTS_PER_MINUTE
from bot.core.people import PersonKey, User, Workspace
from bot.core.platform import MessageLost, get_platform_syntax
from bot.core.replies import MessageRef, TextFile
from bot.core.text import mend_file_name
from bot.jobs.recovery import NOTICE_RETENTION
from bot.jobs.work import JobServices
from bot.moderation.moderation import format_setting_key
from bot.storage.database import Transaction

log = logging.getLogger(__name__)

BATCH_SIZE = 100
"""Jobs erased in one transaction: users' requests are written in between."""

DELETION_KIND = "erasure"
DELETION_DEADLINE = timedelta(days=365)

REPLY_TIMEOUT_SECONDS = 10.0
"""The reply to `/privacy delete` waits this long for the deletion; a longer deletion goes on in the background."""

DELETION_CHECK_SECONDS = 0.5

# Running jobs are cancelled first and take a moment to end. After a minute the hourly sweep takes over.
_MAX_DELETION_CHECKS = 120


# Each export of one message stands in memory as a whole and holds a reader of the database; people take turns.
_MAX_CONCURRENT_EXPORTS = 1
_CUT_OFF = '],\n"cut_off": true\n}\n'
"""The end of an export without all rows."""


async def forget_jobs(services: JobServices, jobs: Sequence[Job]) -> None:
    """Erase the words of finished jobs, then delete files without another job."""
    if not jobs:
        return
    # Rows first: a crash before the files are removed leaves files for retention to find by age.
    runs = await _list_kept_runs(services, jobs)
    async with services.database.write() as tx:
        unused = await tx.erasure.erase_jobs(jobs, services.clock.now())
    for sha256 in unused:
        await services.media.remove(sha256)
    await _forget_runs(services, runs)


async def _list_kept_runs(services: JobServices, jobs: Sequence[Job]) -> list[tuple[Backend, str]]:
    """Return the runs of jobs at servers that keep the words of runs, with the backend of each."""
    keeping: list[tuple[Job, Backend]] = []
    for job in jobs:
        backend = services.backends.get(job.backend)
        if job.prediction and backend is not None and backend.keeps_runs:
            keeping.append((job, backend))
    if not keeping:
        return []
    async with services.database.read() as tx:
        found = [(backend, await tx.predictions.get(job.prediction)) for job, backend in keeping]
    return [(backend, record.backend_id) for backend, record in found if record is not None and record.backend_id]


async def _forget_runs(services: JobServices, runs: Sequence[tuple[Backend, str]]) -> None:
    """Delete runs at their servers, as far as the servers answer: their memory ends with their next restart anyway."""
    silent: set[int] = set()
    for backend, backend_id in runs:
        if id(backend) in silent:
            continue
        try:
            await backend.forget(backend_id)
        except BackendError as error:
            silent.add(id(backend))
            log.warning("run.not_forgotten", extra={"run": backend_id, "reason": str(error)})


async def delete_job(services: JobServices, job: Job, shown_in: MessageRef) -> None:
    """Delete a job's messages, words and files, and the message `shown_in`, which may be a copy made by `/show`.

    Reusing jobs share a prediction: the outputs are deleted with the last of these jobs.
    """
    # Messages first: a crash after this leaves files without a message, never a message without pictures.
    async with services.database.read() as tx:
        messages = await tx.messages.list_messages(job.id)
    for ref in (*(message.ref for message in messages), shown_in):
        with suppress(MessageLost):
            await services.platforms[ref.platform].delete(ref)
    runs = await _list_kept_runs(services, [job])
    async with services.database.write() as tx:
        latest = await tx.jobs.get(job.id)
        # A running job has no outputs yet, and the worker still reads the inputs from the row.
        is_over = latest is not None and latest.notified_at is not None
        unused = await tx.erasure.erase_jobs([latest], services.clock.now()) if latest and is_over else set()
    for sha256 in unused:
        await services.media.remove(sha256)
    if is_over:
        await _forget_runs(services, runs)


def person_from_user(user: User) -> PersonKey:
    """Return the key of a person: one platform id in all workspaces, or on Slack in the one team that issued the id.

    Ids of different platforms never count as one person. A wrong match would show or delete a stranger's data, so a
    user of two platforms asks on both.
    """
    is_worldwide = get_platform_syntax(user.platform).has_global_user_ids
    return PersonKey(user.platform, "" if is_worldwide else user.workspace, user.id)


class PersonalData:
    """Exports and deletes the data of persons. A row marks each unfinished deletion, also across restarts.

    `cancel` stops a job on behalf of a user (`Jobs.cancel`).
    """

    def __init__(self, services: JobServices, cancel: Callable[[Job, User], Awaitable[bool]]) -> None:
        self._services = services
        self._cancel = cancel
        self._deletions = BackgroundTasks("erasure")
        self._exports = FairQueue(_MAX_CONCURRENT_EXPORTS)

    async def export(self, person: PersonKey) -> tuple[TextFile, bool]:
        """Return rows about a person as a JSON file for a message, and whether the file holds all rows.

        Raise `LimitReached` beyond `EXPORTS_PER_MINUTE`.
        """
        key = f"export:{person.platform}:{person.workspace}:{person.id}"
        async with self._services.database.write() as tx:
            wait_seconds = await tx.rates.take(key, EXPORTS_PER_MINUTE, self._services.clock.now())
        if wait_seconds > 0:
            raise LimitReached(f"You exported {EXPORTS_PER_MINUTE} times: try again in {ceil(wait_seconds)} s.")
        async with self._exports.hold(key):
            parts = [part async for part in self.stream_export(person, max_bytes=EXPORT_MAX_BYTES)]
        name = self.name_export(person)
        return TextFile(name, "application/json", "".join(parts)), _CUT_OFF not in parts

    def name_export(self, person: PersonKey) -> str:
        """Return the name of a person's JSON file."""
        name = mend_file_name(person.id).replace("/", "_").replace("\\", "_")
        return f"easel-{person.platform}-{name}-{self._services.clock.now():%Y-%m-%d}.json"

    async def stream_export(self, person: PersonKey, *, max_bytes: int | None = None) -> AsyncGenerator[str]:
        """Give the text of a person's JSON file in parts: all rows, or the rows of about `max_bytes`."""
        about: JSON = {"platform": person.platform, "workspace": person.workspace or "all", "id": person.id}
        yield f'{{\n"about": {_to_json(about)},\n"made_at": {_to_json(self._services.clock.now().isoformat())}'
        subject, size_bytes = "", 0
        async with self._services.database.read() as tx, aclosing(tx.erasure.stream_person(person)) as portions:
            async for name, rows in portions:
                if name != subject:
                    yield f'{"" if not subject else "]"},\n"{name}": ['
                    subject, separator = name, "\n"
                for row in rows:
                    part = separator + _to_json(row)
                    size_bytes += len(part.encode())
                    if max_bytes is not None and size_bytes > max_bytes:
                        yield _CUT_OFF
                        return
                    yield part
                    separator = ",\n"
        yield "]\n}\n"

    async def request_deletion(self, person: PersonKey, by: User) -> None:
        """Store a deletion for the next sweep of whichever process runs the bot."""
        now = self._services.clock.now()
        async with self._services.database.write() as tx:
            await tx.pending.put(_build_request(person, now))
            await tx.audit.add(by.actor, "privacy.delete", {}, now)

    async def delete(self, person: PersonKey, by: User) -> bool:
        """Start to delete a person's data; return whether the deletion ended within `REPLY_TIMEOUT_SECONDS`."""
        await self.request_deletion(person, by)
        task = self._deletions.spawn(self._delete_until_done(person), f"{person.platform}:{person.id}")
        await asyncio.wait([task], timeout=REPLY_TIMEOUT_SECONDS)
        # The task of a failed deletion is done, but the row is pending: the next sweep tries again.
        return not await self._is_deletion_pending(person)

    async def resume_deletions(self) -> None:
        """Continue all stored deletions."""
        async with self._services.database.read() as tx:
            requests = await tx.pending.list_by_kind(DELETION_KIND)
        for request in requests:
            await self._erase(PersonKey(request.platform, request.workspace, request.user))

    async def stop(self) -> None:
        """Cancel running deletions. The rows stay for the next start."""
        await self._deletions.cancel()

    async def _delete_until_done(self, person: PersonKey) -> None:
        for _ in range(_MAX_DELETION_CHECKS):
            if await self._erase(person):
                return
            await self._services.clock.sleep(DELETION_CHECK_SECONDS)

    async def _erase(self, person: PersonKey) -> bool:
        """Cancel a person's open jobs and erase the rest; return whether the person is erased completely."""
        async with self._services.database.read() as tx:
            open_jobs = await tx.erasure.list_open_jobs(person)
        for job in open_jobs:
            await self._cancel(job, job.user)
        await self._forget_jobs(person)
        if open_jobs:
            return False
        await self._clear_page(person)
        async with self._services.database.write() as tx:
            # A job may have started or ended since: look again inside the erasing transaction.
            if await tx.erasure.list_open_jobs(person) or await tx.erasure.list_jobs(person, 1):
                return False
            unused = await tx.erasure.erase_person(person)
            await tx.pending.remove(_get_request_id(person))
        for sha256 in unused:
            await self._services.media.remove(sha256)
        log.info("person.forgotten", extra={"platform": person.platform})
        return True

    async def _forget_jobs(self, person: PersonKey) -> None:
        while True:
            async with self._services.database.read() as tx:
                jobs = await tx.erasure.list_jobs(person, BATCH_SIZE)
            for job in jobs:
                await self._delete_messages(job)
            await forget_jobs(self._services, jobs)
            if len(jobs) < BATCH_SIZE:
                return

    async def _delete_messages(self, job: Job) -> None:
        async with self._services.database.read() as tx:
            messages = await tx.messages.list_messages(job.id)
        for message in messages:
            await self._delete_message(message.ref)

    async def _clear_page(self, person: PersonKey) -> None:
        """Delete the person's own messages on the web page, also from pages open right now."""
        async with self._services.database.read() as tx:
            messages = await tx.page.list_by_user(person)
        for message, channel in messages:
            await self._delete_message(MessageRef(person.platform, "", channel, "", message))

    async def _delete_message(self, ref: MessageRef) -> None:
        """Delete a message as far as the platform allows; messages of an unconfigured platform stay."""
        platform = self._services.platforms.get(ref.platform)
        if platform is None:
            return
        try:
            with suppress(MessageLost):
                await platform.delete(ref)
        except Exception:  # an SDK may raise anything; our own rows go all the same
            log.exception("message.not_deleted", extra={"platform": ref.platform})

    async def _is_deletion_pending(self, person: PersonKey) -> bool:
        async with self._services.database.read() as tx:
            return await tx.pending.get(_get_request_id(person)) is not None


# `json.dumps` with options makes an encoder for each call, and an export has tens of thousands of rows.
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def _to_json(value: JSON) -> str:
    return _ENCODER.encode(value)


def _get_request_id(person: PersonKey) -> str:
    return f"{DELETION_KIND}:{person.platform}:{person.workspace}:{person.id}"


def _build_request(person: PersonKey, now: datetime) -> PendingAction:
    where = (person.platform, person.workspace, "", person.id)
    return PendingAction(_get_request_id(person), DELETION_KIND, *where, {}, now, now + DELETION_DEADLINE)


# Retention.

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
