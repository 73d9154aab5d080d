"""Forgetting jobs: words, messages and files go, amounts stay. What retention and a person's own wish share."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bot.core.invocations import PendingAction
from bot.core.jobs import Job
from bot.core.people import PersonKey, User
from bot.core.platform import MessageLost
from bot.core.platform_syntax import get_platform_syntax
from bot.core.replies import MessageRef, TextFile
from bot.jobs.work import JobServices

if TYPE_CHECKING:
    from bot.jobs.jobs import Jobs


BATCH_SIZE = 100
"""Jobs forgotten in one transaction: others write in between."""


async def forget_jobs(services: JobServices, jobs: Sequence[Job]) -> None:
    """Take the words out of these jobs, then delete the files that nothing shows or needs any more.

    Rows go first: a crash in between leaves a file that retention finds by its age.
    """
    if not jobs:
        return
    async with services.database.write() as tx:
        unused = await tx.erasure.erase_jobs(jobs, services.clock.now())
    for sha256 in unused:
        await services.media.remove(sha256)


# MERGED Taking a job's messages away, with its words and the files that nothing else shows. What it cost stays.
# MERGED Jobs that reuse a result share its run: outputs are deleted with the last of these jobs.


async def delete_job(services: JobServices, job: Job, shown_in: MessageRef) -> None:
    """Delete its own messages and `shown_in`, which may be a copy of them, as `/show` makes.

    Messages go first: a crash in between leaves files that nobody sees, and not a message without its pictures.
    """
    async with services.database.read() as tx:
        messages = await tx.messages.list_messages(job.id)
    for ref in (*(message.ref for message in messages), shown_in):
        with suppress(MessageLost):
            await services.platforms[ref.platform].delete(ref)
    async with services.database.write() as tx:
        now = await tx.jobs.get(job.id)
        # What still runs has made nothing yet, and its row says what it runs with.
        is_over = now is not None and now.notified_at is not None
        unused = await tx.erasure.erase_jobs([now], services.clock.now()) if now is not None and is_over else set()
    for sha256 in unused:
        await services.media.remove(sha256)


# MERGED A person's own data: all of it as a file, or gone.
# MERGED Somebody is known by one platform's id of them, in every workspace of that platform; on Slack in that one
# MERGED team, whose
# MERGED ids are its own. Ids of different platforms are never taken for the same person: nobody could prove it, and
# MERGED a wrong
# MERGED guess would show or delete somebody else's data. Whoever uses two platforms asks on both.

log = logging.getLogger(__name__)

DELETION_KIND = "erasure"
DELETION_DEADLINE = timedelta(days=365)
PATIENCE_SECONDS = 10.0
"""How long the answer waits for a deletion to be done; a longer one goes on behind it."""
DELETION_CHECK_SECONDS = 0.5
_MAX_DELETION_CHECKS = 120
"""How often a deletion looks whether the last jobs are over; after that the hourly sweep goes on with it."""


def person_from_user(user: User) -> PersonKey:
    """Somebody as their platform knows them everywhere."""
    is_worldwide = get_platform_syntax(user.platform).has_global_user_ids
    return PersonKey(user.platform, "" if is_worldwide else user.workspace, user.id)


class PersonalData:
    """Exports and deletes. A deletion that was begun is finished, whatever happens: a row says so until it is done."""

    def __init__(self, services: JobServices, jobs: "Jobs") -> None:
        self._services = services
        self._jobs = jobs
        self._running: set[asyncio.Task[None]] = set()

    async def export(self, person: PersonKey) -> TextFile:
        """All rows about a person, as JSON."""
        now = self._services.clock.now()
        async with self._services.database.read() as tx:
            rows = await tx.erasure.export_person(person)
        about = {"platform": person.platform, "workspace": person.workspace or "all", "id": person.id}
        text = json.dumps({"about": about, "made_at": now.isoformat(), **rows}, ensure_ascii=False, indent=2)
        return TextFile(f"easel-{person.platform}-{person.id}-{now:%Y-%m-%d}.json", "application/json", text)

    async def request_deletion(self, person: PersonKey, by: User) -> None:
        """Write a deletion down: the next sweep does it, wherever the bot runs."""
        now = self._services.clock.now()
        async with self._services.database.write() as tx:
            await tx.pending.put(_build_request(person, now))
            await tx.audit.add(by.actor, "privacy.delete", {}, now)

    async def delete(self, person: PersonKey, by: User) -> bool:
        """Begin to delete everything of a person; gives whether it is done already."""
        await self.request_deletion(person, by)
        task = asyncio.create_task(self._delete_until_done(person), name=f"erasure {person.platform}:{person.id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        return bool(done) and task.exception() is None and not await self._is_deletion_pending(person)

    async def resume_deletions(self) -> None:
        """Take up deletions that were begun and not finished."""
        async with self._services.database.read() as tx:
            wishes = await tx.pending.list_by_kind(DELETION_KIND)
        for wish in wishes:
            await self._erase(PersonKey(wish.platform, wish.workspace, wish.user))

    async def stop(self) -> None:
        """What is not done yet is done after the next start."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _delete_until_done(self, person: PersonKey) -> None:
        for _ in range(_MAX_DELETION_CHECKS):
            if await self._erase(person):
                return
            await self._services.clock.sleep(DELETION_CHECK_SECONDS)

    async def _erase(self, person: PersonKey) -> bool:
        """Stop what runs, and forget what is over. True when nothing is left."""
        async with self._services.database.read() as tx:
            waiting = await tx.erasure.list_open_jobs(person)
        for job in waiting:
            await self._jobs.cancel(job, job.user)
        await self._forget_jobs(person)
        if waiting:
            return False
        await self._clear_page(person)
        async with self._services.database.write() as tx:
            if await tx.erasure.list_open_jobs(person) or await tx.erasure.list_jobs(person, 1):
                return False  # asked or ended in between
            await tx.erasure.erase_person(person)
            await tx.pending.remove(_get_request_id(person))
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
        """Delete what was posted for a job, as far as it can still be reached."""
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


def _get_request_id(person: PersonKey) -> str:
    return f"{DELETION_KIND}:{person.platform}:{person.workspace}:{person.id}"


def _build_request(person: PersonKey, now: datetime) -> PendingAction:
    where = (person.platform, person.workspace, "", person.id)
    return PendingAction(_get_request_id(person), DELETION_KIND, *where, {}, now, now + DELETION_DEADLINE)
