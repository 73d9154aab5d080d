"""Whether the owner's account at Replicate can pay: told to the owner once, however many asks are refused."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlencode

import httpx
from aiohttp.web import RouteDef

from bot.backends import http
from bot.backends.replicate import client, errors
from bot.backends.replicate.client import ReplicateClient
from bot.backends.replicate.inputs import replace_files_with_urls
from bot.backends.replicate.outputs import make_snapshot
from bot.backends.replicate.polling import POLLS_PER_SECOND, PredictionPoller
from bot.backends.replicate.streams import ReplicateStreams, StreamAddresses
from bot.backends.replicate.watching import RunWatcher
from bot.backends.replicate.webhooks import WEBHOOK_PATH, ReplicateWebhooks, WebhookWaiters
from bot.core.backend import Inputs, RunEvent, RunNotificationHandler, RunSnapshot
from bot.core.clock import Clock
from bot.core.errors import BackendOutOfCredit, InputRefused, ModelFailed, ModelFlagged, PredictionGone
from bot.core.json import JSON
from bot.core.models import Model

log = logging.getLogger(__name__)


class BillingState:
    """An episode begins with the first 402 and ends with the first create that goes through."""

    def __init__(self) -> None:
        self._is_out_of_credit = False

    def record_refusal(self) -> None:
        """A create was answered with 402."""
        if not self._is_out_of_credit:
            log.error("backend.out_of_credit", extra={"backend": "replicate", "see": "replicate.com/account/billing"})
        self._is_out_of_credit = True

    def record_payment(self) -> None:
        """A create went through."""
        if self._is_out_of_credit:
            log.warning("backend.credit_is_back", extra={"backend": "replicate"})
        self._is_out_of_credit = False


# MERGED Replicate as a `Backend`: the protocol's methods, each one handed to the part that knows how.

BuildWebhookUrl = Callable[[str], str | None]
"""The address to call when a job's run starts and ends, or None without a public one."""


def build_no_webhook_url(job: str) -> str | None:
    """Nobody can call us."""
    return None


def make_webhook_url_builder(public_url: str | None) -> BuildWebhookUrl:
    """The address of our route, with the job in it: so that a webhook can be matched before its create is answered."""
    return (
        build_no_webhook_url
        if public_url is None
        else lambda job: f"{public_url.rstrip('/')}{WEBHOOK_PATH}?{urlencode({'job': job})}"
    )


class ReplicateBackend:
    """Runs predictions at Replicate, or at whatever speaks its API at `base_url` (given without `/v1`)."""

    name = "replicate"

    def __init__(
        self,
        base_url: str,
        token: str,
        clock: Clock,
        *,
        build_webhook_url: BuildWebhookUrl = build_no_webhook_url,
        api_timeout: httpx.Timeout = http.API_TIMEOUT,
        stream_timeout: httpx.Timeout = http.STREAM_TIMEOUT,
        polls_per_second: float = POLLS_PER_SECOND,
    ) -> None:
        context = http.create_tls_context()
        self.client = ReplicateClient(base_url, token.strip(), clock, context=context, timeout=api_timeout)
        self._streams = ReplicateStreams(
            self.client.origins, self.client.authorization, context=context, timeout=stream_timeout
        )
        self._poller = PredictionPoller(self.client.get_prediction, clock, per_second=polls_per_second)
        self._stream_addresses = StreamAddresses(self.client.origins)
        self._webhook_waiters = WebhookWaiters()
        self._webhooks = ReplicateWebhooks(self.client.get_webhook_secret, self._webhook_waiters, clock)
        self._billing_state = BillingState()
        self._clock = clock
        self._build_webhook_url = build_webhook_url

    def routes(self, take: RunNotificationHandler) -> list[RouteDef]:
        """What the server has to answer: Replicate's webhooks. `take` writes each down, once."""
        return self._webhooks.routes(take)

    def admit(self) -> None:
        """Raises `BackendDown` while Replicate is away, but for one ask at a time that finds out."""
        self.client.circuit_breaker.admit()

    def check(self) -> None:
        """Raises `BackendDown` while Replicate is away."""
        self.client.circuit_breaker.check()

    @asynccontextmanager
    async def slot_for_create(self, *, is_retry: bool = False) -> AsyncIterator[None]:
        """Wait in line for leave to create. Raises `BackendDown` while Replicate is away, and `BackendBusy` when nobody
        may create for ten minutes."""
        self.client.circuit_breaker.raise_if_open()
        async with self.client.create_limiter.acquire(is_retry=is_retry):
            yield

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Turn files into data URLs (up to 256 kB) or uploads. Raises `InputRefused` for a file that is gone."""
        return await replace_files_with_urls(self.client, inputs)

    async def submit(self, model: Model, inputs: Mapping[str, JSON], *, job: str, cancel_after_seconds: int) -> str:
        """Create a prediction; its stream is remembered for `watch`. See `ReplicateClient.create_prediction`."""
        try:
            prediction = await self.client.create_prediction(
                model.version or model.ref,
                inputs,
                cancel_after_seconds=cancel_after_seconds,
                webhook=self._build_webhook_url(job),
                deployment=model.deployment,
            )
        except PredictionGone as error:  # 404: there is nothing to create it from
            raise InputRefused(f"The model service has no model called {model.ref}.") from error
        except BackendOutOfCredit:
            self._billing_state.record_refusal()
            raise
        self._billing_state.record_payment()
        self._stream_addresses.remember(prediction)
        return prediction.id

    def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        """Follow a run. Raises `PredictionGone`, or `BackendDown` when the service stays away for five minutes.

        Close it (`contextlib.aclosing`) when you leave before `Ended`: that ends its tasks and its connection.
        """
        return RunWatcher(
            model,
            backend_id,
            streams=self._streams,
            poller=self._poller,
            stream_addresses=self._stream_addresses,
            webhook_waiters=self._webhook_waiters if self._build_webhook_url(backend_id) else None,
            clock=self._clock,
        ).watch()

    async def cancel(self, backend_id: str) -> None:
        """Ask for a run to stop. One that is over or gone is left alone."""
        try:
            await self.client.cancel_prediction(backend_id)
        except (PredictionGone, InputRefused):
            return

    async def find(self, model: Model, inputs: Mapping[str, JSON], *, created_after: datetime) -> list[RunSnapshot]:
        """Runs of this model with these inputs, created since, oldest first."""
        runs = await client.find_matching_runs(self.client, model, inputs, created_after=created_after)
        return [make_snapshot(run, model) for run in runs]

    def explain(self, snapshot: RunSnapshot) -> ModelFailed | ModelFlagged:
        """Why an ended run gave nothing."""
        return errors.explain_failure(snapshot)

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        """High demand and a model that is away for a moment (E003, E004) are worth one more run."""
        return errors.is_transient(snapshot)

    async def probe(self) -> str:
        """Check token and reach; one sentence for the owner."""
        account = await self.client.get_account()
        who = account.get("username") or account.get("name") or "an unnamed account"
        return f"Replicate answers, as {who}."

    async def close(self) -> None:
        """Let connections go. Watches are closed by who opened them."""
        await self.client.close()
        await self._streams.close()
