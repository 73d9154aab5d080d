"""Receives Replicate's webhooks: checks the signature, wakes the waiting watch, and has the call stored once.

A payload is only a hint: the watch reads the prediction itself. Signatures are those of Svix (standard-webhooks):
replicate.com/docs/topics/webhooks/verify-webhook.
"""

import asyncio
import hmac
import json
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web

from bot.backends.predictions import parse_prediction
from bot.backends.replicate.errors import SERVICE_DOWN
from bot.core.backend import RunNotification, RunNotificationHandler
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import BackendDown, BackendError, Unavailable
from bot.core.http_headers import compute_signature, decode_secret

log = logging.getLogger(__name__)

TOLERANCE_SECONDS = 300.0
"""Largest difference between a webhook's time and ours, in either direction; Replicate's example uses five minutes."""

_MAX_TIMESTAMP_DIGITS = 15


def is_signature_valid(body: bytes, *, webhook_id: str, timestamp: str, signatures: str, secret: str) -> bool:
    """Return whether one of the space-separated `v1,<base64>` signatures matches. `body` is the raw request body."""
    key = decode_secret(secret)
    if key is None:
        return False
    expected = compute_signature(key, webhook_id, timestamp, body).encode()
    given = [entry.encode() for entry in signatures.split() if entry.startswith("v1,")]
    return any(hmac.compare_digest(expected, signature) for signature in given)


def is_recent(timestamp: str, now: float) -> bool:
    """Return whether `timestamp`, in Unix seconds, is within the tolerance of `now`."""
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_TIMESTAMP_DIGITS
    return is_number and abs(now - int(timestamp)) <= TOLERANCE_SECONDS


MAX_MISSED_WEBHOOKS = 3
"""Runs in a row without their webhook, after which watches listen to streams until a webhook arrives."""

_MAX_EARLY_WEBHOOKS = 10_000


@dataclass(slots=True)
class WebhookWaiter:
    """The webhooks of one run. `notified` is set by each webhook and cleared by the waiting watch."""

    notified: asyncio.Event = field(default_factory=asyncio.Event)
    has_started: bool = False
    is_over: bool = False

    def notify(self, *, is_over: bool) -> None:
        """Note a webhook. Webhooks may arrive out of order: an ended run stays ended."""
        self.has_started = True
        self.is_over = self.is_over or is_over
        self.notified.set()


class WebhookWaiters:
    """Waiting watches by prediction. A webhook that overtakes the reply to the create is kept for the coming watch.

    A webhook may reach another process than the watch's: the watch's own polls cover that case.
    """

    def __init__(self) -> None:
        self._waiters: dict[str, WebhookWaiter] = {}
        self._waiter_counts: Counter[str] = Counter()
        self._early: RecentItems[str, WebhookWaiter] = RecentItems(_MAX_EARLY_WEBHOOKS)
        self._missed = 0

    @property
    def are_webhooks_arriving(self) -> bool:
        """Whether webhooks arrive at all: an unreachable public address must not delay every picture."""
        return self._missed < MAX_MISSED_WEBHOOKS

    def record_missed(self) -> None:
        """Count a run that ended without a webhook."""
        self._missed += 1

    @contextmanager
    def register(self, prediction_id: str) -> Iterator[WebhookWaiter]:
        """Give a prediction's waiter for the duration of the block. Watches of one prediction share the waiter."""
        early = self._early.pop(prediction_id, None) or WebhookWaiter()
        waiter = self._waiters.setdefault(prediction_id, early)
        self._waiter_counts[prediction_id] += 1
        try:
            yield waiter
        finally:
            self._waiter_counts[prediction_id] -= 1
            if not self._waiter_counts[prediction_id]:
                del self._waiters[prediction_id], self._waiter_counts[prediction_id]

    def notify(self, prediction_id: str, *, is_over: bool) -> bool:
        """Wake the watches of a prediction; return whether a watch waits."""
        self._missed = 0
        if (waiter := self._waiters.get(prediction_id)) is not None:
            waiter.notify(is_over=is_over)
            return True
        self._early.setdefault(prediction_id, WebhookWaiter()).notify(is_over=is_over)
        return False


WEBHOOK_PATH = "/webhooks/replicate"
MAX_BODY_BYTES = 1 << 20

# Anyone can send a wrong signature: read the secret again at most this often.
SECONDS_BETWEEN_SECRET_READS = 60.0

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_MAX_WEBHOOK_ID_CHARACTERS = 256
_JOB_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


class ReplicateWebhooks:
    """Checks webhooks, wakes the waiting watch, and passes new webhooks on."""

    def __init__(self, read_secret: Callable[[], Awaitable[str]], waiters: WebhookWaiters, clock: Clock) -> None:
        self._read_secret = read_secret
        self._waiters = waiters
        self._clock = clock
        self._secret = ""
        self._secret_read_at = float("-inf")
        self._read_lock = asyncio.Lock()

    def routes(self, take: RunNotificationHandler) -> list[web.RouteDef]:
        """Return the routes for the web server. `take` stores a notification and returns whether it is new."""

        async def receive(request: web.Request) -> web.Response:
            return await self._receive(request, take)

        return [web.post(WEBHOOK_PATH, receive)]

    async def learn_secret(self) -> None:
        """Read the secret for the webhooks to come, unless known; a failure is left to a later call."""
        # Before the first run: the webhook of a run whose create failed arrives when the service seems to be away.
        if not self._secret:
            with suppress(BackendError):
                await self._refresh_secret("")

    async def _receive(self, request: web.Request, take: RunNotificationHandler) -> web.Response:
        """Answer 200 for a taken or known webhook, 400, 403 or 413 for a foreign one, 503 to have the call repeated."""
        body = await _read_raw_body(request)
        if body is None:
            return _refuse(413, "too large")
        webhook_id, timestamp, signatures = given = tuple(request.headers.get(name, "") for name in _HEADERS)
        if not all(given) or not "".join(given).isascii() or len(webhook_id) > _MAX_WEBHOOK_ID_CHARACTERS:
            return _refuse(400, "headers missing")
        if not is_recent(timestamp, self._clock.now().timestamp()):
            return _refuse(400, "too old")
        try:
            if not await self._is_authentic(body, webhook_id, timestamp, signatures):
                return _refuse(403, "signature")
            return await self._accept(take, body, webhook_id, _read_job(request))
        except (BackendError, Unavailable) as error:
            return _refuse(503, type(error).__name__)

    async def _accept(self, take: RunNotificationHandler, body: bytes, webhook_id: str, job: str) -> web.Response:
        try:
            prediction = parse_prediction(json.loads(body))
        except (ValueError, RecursionError):
            return _refuse(400, "no prediction")
        # Wake the watch before storing, which may fail and have the call repeated: a repeated wake is harmless.
        is_awaited = self._waiters.notify(prediction.id, is_over=prediction.state.is_final)
        # The id of a watched run is stored already, so its start is no news.
        if prediction.state.is_final or not is_awaited:
            is_news = await take(RunNotification(webhook_id, job, prediction.id))
            log.info("replicate.webhook", extra={"prediction": prediction.id, "is_news": is_news})
        return web.Response(text="ok\n")

    async def _is_authentic(self, body: bytes, webhook_id: str, timestamp: str, signatures: str) -> bool:
        def is_signed_with(secret: str) -> bool:
            return is_signature_valid(
                body, webhook_id=webhook_id, timestamp=timestamp, signatures=signatures, secret=secret
            )

        if self._secret and is_signed_with(self._secret):
            return True
        return is_signed_with(await self._refresh_secret(self._secret))

    async def _refresh_secret(self, known: str) -> str:
        """Return the current secret, which the owner may have changed. Read at most once a minute.

        Raise `BackendDown` if the secret cannot be read and no secret is known.
        """
        async with self._read_lock:
            now = self._clock.monotonic()
            if self._secret == known and now - self._secret_read_at >= SECONDS_BETWEEN_SECRET_READS:
                # A failed read counts too: forged webhooks must not cause a request each while Replicate is away.
                self._secret_read_at = now
                self._secret = await self._read_secret()
            if not self._secret:
                raise BackendDown(SERVICE_DOWN)
            return self._secret


def _read_job(request: web.Request) -> str:
    """Return the job of the webhook's address; empty for a text that is no id. The signature covers no address."""
    job = request.query.get("job", "")
    return job if _JOB_ID.fullmatch(job) else ""


async def _read_raw_body(request: web.Request) -> bytes | None:
    """Return the raw body, None if too large."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    body = b""
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _refuse(status: int, reason: str) -> web.Response:
    log.warning("replicate.webhook_refused", extra={"status": status, "reason": reason})
    return web.Response(status=status, text=f"{reason}\n")
