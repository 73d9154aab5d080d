"""Webhooks out: events, filters, retries, faults, and the signature (Standard Webhooks).

The signature follows replicate.com/docs/topics/webhooks."""

import base64
import hashlib
import hmac
import json
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bot.core.background_tasks import BackgroundTasks
from bot.sandbox.clock import SandboxClock
from bot.sandbox.faults import FaultKind
from bot.sandbox.ids import new_opaque_token, new_webhook_secret
from bot.sandbox.input_files import ServerAddress
from bot.sandbox.prediction_store import SandboxPrediction


def compute_signature(secret: str, webhook_id: str, unix_seconds: int, body: bytes) -> str:
    """Return one `v1,…` entry of the webhook-signature header. `secret` begins with `whsec_`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{unix_seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def create_signed_headers(secret: str, webhook_id: str, unix_seconds: int, body: bytes) -> dict[str, str]:
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(unix_seconds),
        "webhook-signature": compute_signature(secret, webhook_id, unix_seconds, body),
        "content-type": "application/json",
    }


@dataclass(frozen=True)
class OutgoingWebhook:
    """One webhook. Each try carries the same id, so the receiver recognises repetitions."""

    url: str
    body: bytes
    tries: int = 1
    id: str = field(default_factory=lambda: "msg_" + new_opaque_token()[:27])

    @property
    def is_last(self) -> bool:
        """Only the last webhook of a prediction is retried."""
        return self.tries > 1


class WebhookFaults:
    def __init__(self) -> None:
        self._held: dict[str, list[OutgoingWebhook]] = {}

    def apply(self, prediction: SandboxPrediction, webhook: OutgoingWebhook) -> list[OutgoingWebhook]:
        """Return the webhooks to send instead of `webhook`, in order."""
        if prediction.has_fault(FaultKind.WEBHOOK_LOST):
            return []
        if prediction.has_fault(FaultKind.WEBHOOK_DOUBLED):
            return [webhook, webhook]
        if prediction.has_fault(FaultKind.WEBHOOK_REORDERED):
            return self._reorder(prediction, webhook)
        return [webhook]

    def _reorder(self, prediction: SandboxPrediction, webhook: OutgoingWebhook) -> list[OutgoingWebhook]:
        """Return the last webhook first, then the earlier webhooks, newest first."""
        if webhook.is_last:
            return [webhook, *reversed(self._held.pop(prediction.id, []))]
        self._held.setdefault(prediction.id, []).append(webhook)
        return []


def get_delay_seconds(prediction: SandboxPrediction) -> float:
    return prediction.fault.magnitude if prediction.fault and prediction.has_fault(FaultKind.WEBHOOK_LATE) else 0.0


def create_forged_webhook(url: str, body: dict[str, Any]) -> OutgoingWebhook:
    """Return a webhook with a wrong signature that claims success."""
    claim = body | {"status": "succeeded", "output": ["https://forged.invalid/out-0.png"], "logs": ""}
    return OutgoingWebhook(url, json.dumps(claim).encode())


log = logging.getLogger(__name__)

WEBHOOK_EVENTS = ("start", "output", "logs", "completed")
# Without a filter Replicate sends on new output and at the end.
_DEFAULT_EVENTS = ("output", "completed")
_PACE = timedelta(milliseconds=500)
# The last try is about a minute after the end.
_RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def is_allowed_url(url: str) -> bool:
    """Check the address: https as at Replicate, or http to this machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )


@dataclass
class _Pacing:
    """The last sending of `output` and `logs` for one prediction, and the events that wait for the throttle."""

    sent_at: dict[str, datetime] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


class SandboxWebhooks:
    def __init__(self, clock: SandboxClock, address: ServerAddress, secret: str) -> None:
        self.secret = secret
        self._clock = clock
        self._address = address
        self._session: aiohttp.ClientSession | None = None
        self._tasks = BackgroundTasks("sandbox")
        self._pacing: dict[str, _Pacing] = {}
        self._faults = WebhookFaults()

    def notify(self, prediction: SandboxPrediction, event: str) -> None:
        """Send `event` if the prediction's webhook filter allows the event. Return at once."""
        if prediction.webhook is None:
            return
        if event == "start" and prediction.has_fault(FaultKind.WEBHOOK_FORGED):
            forged = create_forged_webhook(prediction.webhook, prediction.build_body(self._address.url))
            self._tasks.spawn(self._deliver(forged, secret=new_webhook_secret()), "forged webhook")
        if event not in (prediction.webhook_events_filter or _DEFAULT_EVENTS):
            return
        if event == "completed":
            self._pacing.pop(prediction.id, None)
            webhook = self._create_webhook(prediction, tries=1 + len(_RETRY_SECONDS))
            self._tasks.spawn(self._send(prediction, webhook), event)
        elif event == "start":
            self._tasks.spawn(self._send(prediction, self._create_webhook(prediction)), event)
        else:
            self._tasks.spawn(self._send_paced(prediction, event), event)

    async def close(self) -> None:
        await self._tasks.cancel()
        if self._session:
            await self._session.close()

    async def _send_paced(self, prediction: SandboxPrediction, event: str) -> None:
        pacing = self._pacing.setdefault(prediction.id, _Pacing())
        if event in pacing.waiting:
            return
        pacing.waiting.add(event)
        if last := pacing.sent_at.get(event):
            await self._clock.sleep_until(last + _PACE)
        pacing.waiting.discard(event)
        pacing.sent_at[event] = self._clock.now()
        if not prediction.status.is_terminal:
            await self._send(prediction, self._create_webhook(prediction))

    async def _send(self, prediction: SandboxPrediction, webhook: OutgoingWebhook) -> None:
        if seconds := get_delay_seconds(prediction):
            await self._clock.sleep(seconds)
        for outgoing in self._faults.apply(prediction, webhook):
            await self._deliver(outgoing, self.secret)

    async def _deliver(self, webhook: OutgoingWebhook, secret: str) -> None:
        for attempt in range(webhook.tries):
            if attempt:
                await self._clock.sleep(_RETRY_SECONDS[attempt - 1])
            if await self._post(webhook, secret):
                return
        log.info("sandbox.webhook_not_taken", extra={"webhook_id": webhook.id, "tries": webhook.tries})

    async def _post(self, webhook: OutgoingWebhook, secret: str) -> bool:
        headers = create_signed_headers(secret, webhook.id, int(self._clock.now().timestamp()), webhook.body)
        try:
            async with self._get_session().post(
                webhook.url, data=webhook.body, headers=headers, allow_redirects=False
            ) as reply:
                return 200 <= reply.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _get_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), trust_env=False)
        return self._session

    def _create_webhook(self, prediction: SandboxPrediction, tries: int = 1) -> OutgoingWebhook:
        """Return the current JSON of the prediction."""
        return OutgoingWebhook(
            prediction.webhook or "", json.dumps(prediction.build_body(self._address.url)).encode(), tries
        )
