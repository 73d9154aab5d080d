"""Delivers to the app over HTTP: signed, with form-encoded commands, and with retries of events.

Sources: docs.slack.dev/authentication/verifying-requests-from-slack, docs.slack.dev/apis/events-api.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp

from tests.emulators.slack.delivery import COMMANDS, EVENTS, SlackDelivery, SlackDeliveryAttempt

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator


_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


class SlackHttpTransport:
    """Delivers events, commands and interactions to a single URL."""

    def __init__(self, slack: "SlackEmulator", url: str, signing_secret: str) -> None:
        self._slack = slack
        self.url = url
        self.signing_secret = signing_secret
        self._session = aiohttp.ClientSession(auto_decompress=True)

    async def close(self) -> None:
        await self._session.close()

    async def deliver(self, delivery: SlackDelivery, retry: int, reason: str) -> SlackDeliveryAttempt:
        body, content_type = encode_delivery(delivery)
        retries = {"x-slack-retry-num": str(retry), "x-slack-retry-reason": reason} if retry else {}
        sent_at = self._slack.clock.now()
        post = asyncio.ensure_future(self._post(body, content_type, retries))
        timer = asyncio.ensure_future(self._slack.clock.sleep(self._slack.options.lifetimes.acknowledgement_seconds))
        waits: set[asyncio.Future[Any]] = {post, timer}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not post.done():
                return SlackDeliveryAttempt(self._slack.options.lifetimes.acknowledgement_seconds, "timeout")
            status, text, headers = post.result()
        except aiohttp.ClientError:
            return SlackDeliveryAttempt(0.0, "connection_failed")
        finally:
            post.cancel()
            timer.cancel()
        seconds = self._slack.clock.now() - sent_at
        if status != 200:
            return SlackDeliveryAttempt(seconds, "http_error", is_final=headers.get("x-slack-no-retry") == "1")
        return SlackDeliveryAttempt(seconds, payload=_decode_response(text, headers.get("content-type", "")))

    async def _post(self, body: bytes, content_type: str, retries: dict[str, str]) -> tuple[int, str, Any]:
        await self._slack.wait_half_round_trip()
        headers = {"content-type": content_type, **self.sign(body), **retries}
        async with self._session.post(self.url, data=body, headers=headers) as response:
            text = await response.text()
        await self._slack.wait_half_round_trip()
        return response.status, text, response.headers

    def sign(self, body: bytes, *, signing_secret: str | None = None, age_seconds: float = 0.0) -> dict[str, str]:
        """Return the two headers that authenticate Slack."""
        stamp = str(int(time.time() - age_seconds))
        key = (self.signing_secret if signing_secret is None else signing_secret).encode()
        digest = hmac.new(key, f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}

    # Further requests for tests.

    async def verify_url(self) -> None:
        """Send Slack's url_verification; fail unless the app returns the challenge."""
        challenge = secrets.token_hex(16)
        body = json.dumps({"type": "url_verification", "token": "x", "challenge": challenge}).encode()
        status, text, headers = await self._post(body, _JSON, {})
        assert status == 200, f"the URL answered {status}"
        answer = json.loads(text)["challenge"] if _JSON in headers.get("content-type", "") else text
        assert answer == challenge, f"the URL answered {text[:80]!r}"

    async def send_forged(
        self,
        delivery: SlackDelivery,
        *,
        signing_secret: str | None = None,
        age_seconds: float = 0.0,
        is_signed: bool = True,
    ) -> int:
        """Send a delivery's payload with a wrong secret, an old timestamp, or no signature; return the HTTP status."""
        body, content_type = encode_delivery(delivery)
        headers = self.sign(body, signing_secret=signing_secret, age_seconds=age_seconds) if is_signed else {}
        async with self._session.post(
            self.url, data=body, headers={"content-type": content_type, **headers}
        ) as response:
            return response.status


def encode_delivery(delivery: SlackDelivery) -> tuple[bytes, str]:
    """Return body and content type."""
    if delivery.kind == EVENTS:
        return json.dumps(delivery.payload).encode(), _JSON
    if delivery.kind == COMMANDS:
        return urlencode(delivery.payload).encode(), _FORM
    return urlencode({"payload": json.dumps(delivery.payload)}).encode(), _FORM


def _decode_response(text: str, content_type: str) -> Any:
    """Return an acknowledgement's body: None, JSON, or a text to show."""
    if not text:
        return None
    return json.loads(text) if content_type.startswith(_JSON) else {"text": text}
