"""The signature of a webhook (Svix, standard-webhooks): replicate.com/docs/topics/webhooks."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from bot.backends.replicate.outputs import parse_prediction
from bot.core.backend import RunNotification, RunNotificationHandler
from bot.core.clock import Clock
from bot.core.errors import BackendError, Unavailable

TOLERANCE_SECONDS = 300.0
"""How far a webhook's time may be from ours, either way."""

_MAX_TIMESTAMP_DIGITS = 15  # digits


def is_signature_valid(body: bytes, *, webhook_id: str, timestamp: str, signatures: str, secret: str) -> bool:
    """Whether one of the space-separated `v1,<base64>` signatures is ours. `body` is raw, as it travelled."""
    key = _decode_key(secret)
    if key is None:
        return False
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    given = [entry.removeprefix("v1,").encode() for entry in signatures.split() if entry.startswith("v1,")]
    return any(hmac.compare_digest(expected, signature) for signature in given)


def is_recent(timestamp: str, now: float) -> bool:
    """Whether `timestamp`, in Unix seconds, is near enough to `now`."""
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_TIMESTAMP_DIGITS
    return is_number and abs(now - int(timestamp)) <= TOLERANCE_SECONDS


def _decode_key(secret: str) -> bytes | None:
    # Not split at "_": the base64 of a key may hold one.
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True) or None
    except (binascii.Error, ValueError):
        return None


# MERGED Watches that wait to be called: a webhook rings, and the watch looks for itself.

MAX_MISSED_WEBHOOKS = 3
"""So many runs in a row whose webhook did not come, and watches listen to streams again until one does."""

_MAX_EARLY_WEBHOOKS = 10_000


@dataclass(slots=True)
class WebhookWaiter:
    """What was told to one watch. `rung` is set at each call, and cleared by who waits."""

    notified: asyncio.Event = field(default_factory=asyncio.Event)
    has_started: bool = False
    is_over: bool = False

    def notify(self, *, is_over: bool) -> None:
        """Out of order is no harm: what is over stays over."""
        self.has_started = True
        self.is_over = self.is_over or is_over
        self.notified.set()


class WebhookWaiters:
    """By prediction. A call that nobody waits for yet, because it overtook the create's reply, is kept for them.

    A webhook that reaches another process rings there, where nobody waits: the watch's own looks cover it.
    """

    def __init__(self) -> None:
        self._waiters: dict[str, WebhookWaiter] = {}
        self._waiter_counts: Counter[str] = Counter()
        self._early: OrderedDict[str, WebhookWaiter] = OrderedDict()
        self._missed = 0

    @property
    def are_webhooks_arriving(self) -> bool:
        """Whether webhooks arrive at all: an address that nobody reaches should not slow every picture down."""
        return self._missed < MAX_MISSED_WEBHOOKS

    def record_missed(self) -> None:
        """A run was found to be over, and nobody had called."""
        self._missed += 1

    @contextmanager
    def register(self, prediction_id: str) -> Iterator[WebhookWaiter]:
        """The bell of a prediction, as long as somebody listens."""
        early = self._early.pop(prediction_id) if prediction_id in self._early else WebhookWaiter()
        bell = self._waiters.setdefault(prediction_id, early)
        self._waiter_counts[prediction_id] += 1
        try:
            yield bell
        finally:
            self._waiter_counts[prediction_id] -= 1
            if not self._waiter_counts[prediction_id]:
                del self._waiters[prediction_id], self._waiter_counts[prediction_id]

    def notify(self, prediction_id: str, *, is_over: bool) -> bool:
        """Call whoever waits for this prediction; gives whether somebody does."""
        self._missed = 0
        if (bell := self._waiters.get(prediction_id)) is not None:
            bell.notify(is_over=is_over)
            return True
        self._early.setdefault(prediction_id, WebhookWaiter()).notify(is_over=is_over)
        while len(self._early) > _MAX_EARLY_WEBHOOKS:
            self._early.popitem(last=False)
        return False


# MERGED The route that Replicate calls. It believes a signature, and even then nothing but that there is something
# MERGED to see.

log = logging.getLogger(__name__)

WEBHOOK_PATH = "/webhooks/replicate"
MAX_BODY_BYTES = 1 << 20

SECONDS_BETWEEN_SECRET_READS = 60.0
"""Anybody can send a wrong signature; that must not make us ask Replicate for the secret each time."""

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_MAX_WEBHOOK_ID_CHARACTERS = 256


class ReplicateWebhooks:
    """Checks calls, writes them down once, and wakes the watch that waits."""

    def __init__(self, read_secret: Callable[[], Awaitable[str]], waiters: WebhookWaiters, clock: Clock) -> None:
        self._read_secret = read_secret
        self._waiters = waiters
        self._clock = clock
        self._secret = ""
        self._secret_read_at = float("-inf")
        self._read_lock = asyncio.Lock()

    def routes(self, take: RunNotificationHandler) -> list[web.RouteDef]:
        """To be handed to the server."""

        async def receive(request: web.Request) -> web.Response:
            return await self._receive(request, take)

        return [web.post(WEBHOOK_PATH, receive)]

    async def _receive(self, request: web.Request, take: RunNotificationHandler) -> web.Response:
        """200 taken or known already; 400, 403 and 413 for what is not Replicate's; 503 makes it call again."""
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
            return await self._accept(take, body, RunNotification(webhook_id, request.query.get("job", ""), ""))
        except (BackendError, Unavailable) as error:
            return _refuse(503, type(error).__name__)

    async def _accept(self, take: RunNotificationHandler, body: bytes, envelope: RunNotification) -> web.Response:
        try:
            prediction = parse_prediction(json.loads(body))
        except ValueError:
            return _refuse(400, "no prediction")
        # First the watch, which sees for itself: a call that comes twice wakes it once, or nobody.
        is_awaited = self._waiters.notify(prediction.id, is_over=prediction.state.is_final)
        # A run that is awaited here has its id stored: of its mere start there is nothing to write down.
        if prediction.state.is_final or not is_awaited:
            is_news = await take(RunNotification(envelope.id, envelope.job, prediction.id))
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
        """The secret as it is now: it may have been changed since. Asked for once a minute at most."""
        async with self._read_lock:
            now = self._clock.monotonic()
            if self._secret == known and now - self._secret_read_at >= SECONDS_BETWEEN_SECRET_READS:
                self._secret_read_at = now
                self._secret = await self._read_secret_or_reset()
            return self._secret

    async def _read_secret_or_reset(self) -> str:
        try:
            return await self._read_secret()
        except BackendError:
            self._secret_read_at = float("-inf")  # nothing was learnt, so the next call asks again
            raise


async def _read_raw_body(request: web.Request) -> bytes | None:
    """The bytes as they travelled; None when there are too many."""
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
