"""Posts the ended jobs of a workspace to the workspace's own webhook, signed as Standard Webhooks describe.

The transaction that ends a job stores the post, so that a kill at any moment loses none. A post is sent until the
receiver takes the post, and may arrive twice, with the same `webhook-id`. The body names the job and its files, without
words of people and models.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.background_tasks import BackgroundTasks, first_completed
from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.errors import BadFile, BadOption, RequestRefused, Unavailable, UnsafeAddress
from bot.core.http_headers import KEY_PREFIX, compute_signature, decode_secret
from bot.core.ids import new_id
from bot.core.jobs import Job, JobState, Output
from bot.core.json import JSON
from bot.core.limits import MAX_CONCURRENT_WEBHOOK_POSTS, WEBHOOK_GIVE_UP_SECONDS, WEBHOOK_POST_SECONDS
from bot.core.people import User, Workspace
from bot.core.platform import Platform
from bot.core.replies import Reply
from bot.credits.limits import POLICY_CHANGED
from bot.media.fetching import Fetcher
from bot.storage.database import Database, Transaction
from bot.storage.webhooks import Webhook, WebhookPost
from bot.telemetry.logs import describe_origin

log = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
"""Time between two looks for posts that are due again; a new post of this process is sent at once."""

RETRY_SECONDS = (5.0, 30.0, 120.0, 600.0, 3_600.0)
"""Waits after the first failed attempts of a post; the last wait repeats until the post is given up."""

# A process that claimed a post and died leaves the post to the others after this time.
_LEASE = timedelta(seconds=WEBHOOK_POST_SECONDS * 4)
_GIVE_UP_AFTER = timedelta(seconds=WEBHOOK_GIVE_UP_SECONDS)
_CACHE_SECONDS = 1.0
_MIN_KEY_BYTES, _MAX_KEY_BYTES = 24, 64  # as in the specification of Standard Webhooks
_GONE = 410  # the receiver wants no more posts, says the specification
_UNREACHED = 0
_EVENTS: Mapping[JobState, str] = {JobState.FAILED: "job.failed", JobState.CANCELLED: "job.cancelled"}

NoticeSender = Callable[[str, str, Reply], Awaitable[object]]
"""`Notices.notify_moderators`: posts a notice for the moderators of a platform's workspace."""


class Webhooks:
    """The webhooks of all workspaces: `start` sends the stored posts until `stop`."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        fetcher: Fetcher,
        platforms: Mapping[str, Platform],
        notify: NoticeSender,
        *,
        micros_per_credit: int,
        page_url: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._fetcher = fetcher
        self._platforms = platforms
        self._notify = notify
        self._micros_per_credit = micros_per_credit
        self._page_url = page_url
        self._is_on: TtlCache[Workspace, bool] = TtlCache(clock, _CACHE_SECONDS)
        self._is_news = asyncio.Event()
        self._places = asyncio.Semaphore(MAX_CONCURRENT_WEBHOOK_POSTS)
        self._busy: set[Workspace] = set()
        self._loop = BackgroundTasks("webhooks")
        self._sending = BackgroundTasks("webhooks")

    # Settings of a workspace.

    async def describe(self, workspace: Workspace) -> str:
        """Return the state of a workspace's webhook in words, without the secret and the path of the address."""
        webhook = await self._read(workspace)
        if webhook is None:
            return "nowhere *(default)*"
        origin = describe_origin(webhook.url)
        return f"nowhere: {webhook.error}" if webhook.failed_at else f"to {origin}, when they end"

    async def change(self, by: User, url: str, secret: str) -> None:
        """Set the webhook of a user's workspace. Raise `BadOption` for another than a public https address or secret.

        The audit has the host alone: path and query may hold a key of the receiver's.
        """
        key = decode_secret(secret) if secret.startswith(KEY_PREFIX) else None
        if key is None or not _MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES:
            raise BadOption(
                f"secret is {KEY_PREFIX} and {_MIN_KEY_BYTES} to {_MAX_KEY_BYTES} random bytes in base64, as "
                "`openssl rand -base64 32` prints them. Your receiver checks my posts with the same secret.",
                option="secret",
            )
        try:
            await self._fetcher.check_public(url)
        except (UnsafeAddress, BadFile) as error:
            raise BadOption(f"The webhook needs a public https address. {error}", option="url") from error
        await self._store(by, Webhook(url, secret, self._clock.now()))

    async def turn_off(self, by: User) -> None:
        """Erase the webhook of a user's workspace, with the posts that wait."""
        await self._store(by, None)

    async def send_test(self, workspace: Workspace) -> str:
        """Post a test to the webhook of a workspace; return the outcome in a sentence.

        Raise `RequestRefused` for a workspace without a webhook.
        """
        webhook = await self._read(workspace)
        if webhook is None or webhook.failed_at:
            raise RequestRefused("There is no webhook to test: give url and secret first.")
        data: dict[str, JSON] = {"platform": workspace.platform, "workspace": workspace.id}
        status = await self._post(webhook, f"test_{new_id()}", _build_body("webhook.test", self._clock.now(), data))
        origin = describe_origin(webhook.url)
        return f"{origin} took the test." if _is_taken(status) else f"{origin} {_describe_failure(status)}."

    async def _store(self, by: User, webhook: Webhook | None) -> None:
        workspace, now = Workspace(by.platform, by.workspace), self._clock.now()
        async with self._database.write() as tx:
            before = await tx.webhooks.get(workspace)
            if webhook is None:
                await tx.webhooks.remove(workspace)
            else:
                await tx.webhooks.put(workspace, webhook)
            old = describe_origin(before.url) if before else None
            new = f"{describe_origin(webhook.url)} with a new secret" if webhook else None
            facts: dict[str, JSON] = {"scope": "workspace", "before": {"webhook": old}, "after": {"webhook": new}}
            await tx.audit.add(by.actor, POLICY_CHANGED, facts, now)
        self._is_on.invalidate(workspace)

    async def _read(self, workspace: Workspace) -> Webhook | None:
        async with self._database.read() as tx:
            return await tx.webhooks.get(workspace)

    # Posts.

    async def wants(self, job: Job) -> bool:
        """Return whether the webhook of the user's workspace gets a job: never one that a few people alone may see."""
        if job.is_private or not await self._has_webhook(Workspace(job.user.platform, job.user.workspace)):
            return False
        platform = self._platforms[job.channel.platform]
        return not (platform.is_direct_channel(job.channel) or await platform.is_private_thread(job.channel))

    async def add(self, tx: Transaction, job: Job) -> None:
        """Store an ended job as a post, in the transaction that ends the job."""
        await tx.webhooks.add_post(job, self._clock.now())

    def notify(self) -> None:
        """Send at once: call after the commit of `add`."""
        self._is_news.set()

    async def _has_webhook(self, workspace: Workspace) -> bool:
        async def read() -> bool:
            webhook = await self._read(workspace)
            return webhook is not None and webhook.failed_at is None

        return await self._is_on.get(workspace, read)

    # Sending.

    def start(self) -> None:
        """Send stored posts in the background."""
        self._loop.spawn(self._run(), "send")

    async def stop(self) -> None:
        """Stop sending; stored posts wait for the next start."""
        await self._loop.cancel()
        await self._sending.cancel()

    async def send_due(self) -> None:
        """Begin to send all posts that are due, one after another for each workspace."""
        async with self._database.read() as tx:
            due = await tx.webhooks.list_due(self._clock.now())
        for workspace in due:
            if workspace not in self._busy:
                self._busy.add(workspace)
                self._sending.spawn(self._send_queue(workspace), workspace.id)

    async def wait_until_sent(self) -> None:
        """Wait for the end of all attempts that have begun."""
        await self._sending.drain()

    async def _run(self) -> None:
        while True:
            self._is_news.clear()
            try:
                await self.send_due()
            except Exception:  # the database may be away: posts stay due
                log.exception("webhooks.stumbled")
            await first_completed(self._clock.sleep(CHECK_SECONDS), self._is_news.wait())

    async def _send_queue(self, workspace: Workspace) -> None:
        """Send the due posts of a workspace, up to the first failure: the next look goes on."""
        try:
            async with self._places:
                while await self._send_next(workspace):
                    pass
        finally:
            self._busy.discard(workspace)

    async def _send_next(self, workspace: Workspace) -> bool:
        """Send the post that is due for longest; return whether the receiver took a post."""
        now = self._clock.now()
        async with self._database.write() as tx:
            post = await tx.webhooks.claim_post(workspace, now, now + _LEASE)
            webhook = await tx.webhooks.get(workspace)
            job = await tx.jobs.get(post.job) if post else None
            outputs = await tx.outputs.list_outputs(job.prediction) if job and job.prediction else []
            if post and (job is None or webhook is None or webhook.failed_at):
                await tx.webhooks.remove_post(post.job)  # stored while the webhook was turned off
        if post is None or job is None or webhook is None or webhook.failed_at:
            return post is not None
        status = await self._post(webhook, f"job_{job.id}", self._build_job_body(job, outputs))
        if _is_taken(status):
            async with self._database.write() as tx:
                await tx.webhooks.remove_post(post.job)
                await tx.webhooks.record_taken(workspace, self._clock.now())
            log.info("webhook.posted", extra={"job": job.id, "attempts": post.attempts})
            return True
        log.info("webhook.refused", extra={"job": job.id, "attempts": post.attempts, "status": status})
        await self._postpone_or_give_up(workspace, webhook, post, status)
        return False

    async def _postpone_or_give_up(
        self, workspace: Workspace, webhook: Webhook, post: WebhookPost, status: int
    ) -> None:
        now = self._clock.now()
        if status != _GONE and now - post.created_at < _GIVE_UP_AFTER:
            wait = RETRY_SECONDS[min(post.attempts, len(RETRY_SECONDS)) - 1]
            async with self._database.write() as tx:
                await tx.webhooks.postpone_post(post.job, now + timedelta(seconds=wait))
            return
        error = f"{describe_origin(webhook.url)} {_describe_failure(status)}"
        # A receiver that took a later job is alive: this post alone is given up.
        since = now if status == _GONE else post.created_at
        async with self._database.write() as tx:
            dropped = await tx.webhooks.turn_off(workspace, webhook.url, since, error, now)
            await tx.webhooks.remove_post(post.job)
        self._is_on.invalidate(workspace)
        log.warning("webhook.given_up", extra={"job": post.job, "status": status, "dropped": dropped})
        # The compare-and-set above succeeds in one process, once: so moderators are told once.
        if dropped is not None:
            results = "One result was" if dropped == 1 else f"{dropped} results were"
            text = f"I stopped posting results to this workspace's webhook: {error}. {results} not posted."
            again = "When the receiver works, set it again with `/settings webhook`."
            await self._notify(workspace.platform, workspace.id, Reply(text=f"{text} {again}"))

    async def _post(self, webhook: Webhook, webhook_id: str, body: bytes) -> int:
        """Send a body with a signature of this moment; return the status of the response, `_UNREACHED` without one."""
        timestamp = str(int(self._clock.now().timestamp()))
        key = decode_secret(webhook.secret) or b""
        headers = {
            "content-type": "application/json",
            "user-agent": "Easel webhooks",
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": compute_signature(key, webhook_id, timestamp, body),
        }
        try:
            return await self._fetcher.post(webhook.url, body, headers)
        except (UnsafeAddress, BadFile, Unavailable) as error:
            log.info("webhook.unreached", extra={"error": type(error).__name__})
            return _UNREACHED

    def _build_job_body(self, job: Job, outputs: Sequence[Output]) -> bytes:
        data: dict[str, JSON] = {
            "job": job.id,
            "platform": job.user.platform,
            "workspace": job.user.workspace,
            "channel": job.channel.id,
            "thread": job.channel.thread,
            "user": job.user.id,
            "command": job.command,
            "model": job.model,
            "credits": round((job.cost_micros or 0) / self._micros_per_credit, 3),
            "asked_at": job.created_at.isoformat(),
            "files": [self._describe_file(output) for output in outputs if output.sha256],
        }
        return _build_body(_EVENTS.get(job.state, "job.finished"), job.notified_at or job.updated_at, data)

    def _describe_file(self, output: Output) -> JSON:
        return {
            "sha256": output.sha256,
            "mime": output.mime,
            "bytes": output.size_bytes,
            "width": output.width,
            "height": output.height,
            "seconds": output.duration_seconds,
            "is_flagged": output.is_flagged,
            "url": f"{self._page_url}/shared/{output.sha256}" if self._page_url else "",
        }


def _build_body(event: str, at: datetime, data: Mapping[str, JSON]) -> bytes:
    return json.dumps({"type": event, "timestamp": at.isoformat(), "data": dict(data)}).encode()


def _is_taken(status: int) -> bool:
    return 200 <= status < 300


def _describe_failure(status: int) -> str:
    return "could not be reached" if status == _UNREACHED else f"answered {status}"
