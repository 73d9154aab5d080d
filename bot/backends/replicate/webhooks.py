"""The route that Replicate calls. It believes a signature, and even then nothing but that there is something to see."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from bot.backends.replicate.bells import Bells
from bot.backends.replicate.schema import prediction_from
from bot.backends.replicate.signatures import is_recent, is_signed
from bot.core.backend import Notice, TakeNotice
from bot.core.clock import Clock
from bot.core.errors import BackendError, Unavailable

log = logging.getLogger(__name__)

PATH = "/webhooks/replicate"
LARGEST_BODY_BYTES = 1 << 20

SECONDS_BETWEEN_SECRETS = 60.0
"""Anybody can send a wrong signature; that must not make us ask Replicate for the secret each time."""

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_LONGEST_ID = 256


class Webhooks:
    """Checks calls, writes them down once, and wakes the watch that waits."""

    def __init__(self, read_secret: Callable[[], Awaitable[str]], bells: Bells, clock: Clock) -> None:
        self._read_secret = read_secret
        self._bells = bells
        self._clock = clock
        self._secret = ""
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    def routes(self, take: TakeNotice) -> list[web.RouteDef]:
        """To be handed to the server."""

        async def receive(request: web.Request) -> web.Response:
            return await self._receive(request, take)

        return [web.post(PATH, receive)]

    async def _receive(self, request: web.Request, take: TakeNotice) -> web.Response:
        """200 taken or known already; 400, 403 and 413 for what is not Replicate's; 503 makes it call again."""
        body = await _raw_body(request)
        if body is None:
            return _refused(413, "too large")
        webhook_id, timestamp, signatures = given = tuple(request.headers.get(name, "") for name in _HEADERS)
        if not all(given) or not "".join(given).isascii() or len(webhook_id) > _LONGEST_ID:
            return _refused(400, "headers missing")
        if not is_recent(timestamp, self._clock.now().timestamp()):
            return _refused(400, "too old")
        try:
            if not await self._is_ours(body, webhook_id, timestamp, signatures):
                return _refused(403, "signature")
            return await self._take(take, body, Notice(webhook_id, request.query.get("job", ""), ""))
        except (BackendError, Unavailable) as error:
            return _refused(503, type(error).__name__)

    async def _take(self, take: TakeNotice, body: bytes, envelope: Notice) -> web.Response:
        try:
            prediction = prediction_from(json.loads(body))
        except ValueError:
            return _refused(400, "no prediction")
        # First the watch, which sees for itself: a call that comes twice wakes it once, or nobody.
        is_awaited = self._bells.ring(prediction.id, is_over=prediction.state.is_final)
        # A run that is awaited here has its id stored: of its mere start there is nothing to write down.
        if prediction.state.is_final or not is_awaited:
            is_news = await take(Notice(envelope.id, envelope.job, prediction.id))
            log.info("replicate.webhook", extra={"prediction": prediction.id, "is_news": is_news})
        return web.Response(text="ok\n")

    async def _is_ours(self, body: bytes, webhook_id: str, timestamp: str, signatures: str) -> bool:
        def is_signed_with(secret: str) -> bool:
            return is_signed(body, webhook_id=webhook_id, timestamp=timestamp, signatures=signatures, secret=secret)

        if self._secret and is_signed_with(self._secret):
            return True
        return is_signed_with(await self._read_again(self._secret))

    async def _read_again(self, known: str) -> str:
        """The secret as it is now: it may have been changed since. Asked for once a minute at most."""
        async with self._reading:
            now = self._clock.monotonic()
            if self._secret == known and now - self._read_at >= SECONDS_BETWEEN_SECRETS:
                self._read_at = now
                self._secret = await self._first_or_next_secret()
            return self._secret

    async def _first_or_next_secret(self) -> str:
        try:
            return await self._read_secret()
        except BackendError:
            self._read_at = float("-inf")  # nothing was learnt, so the next call asks again
            raise


async def _raw_body(request: web.Request) -> bytes | None:
    """The bytes as they travelled; None when there are too many."""
    if (request.content_length or 0) > LARGEST_BODY_BYTES:
        return None
    body = b""
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > LARGEST_BODY_BYTES:
            return None
    return body


def _refused(status: int, reason: str) -> web.Response:
    log.warning("replicate.webhook_refused", extra={"status": status, "reason": reason})
    return web.Response(status=status, text=f"{reason}\n")
