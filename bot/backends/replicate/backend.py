"""Replicate as a `Backend`: each method of the protocol, handed to the part that implements it."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

import httpx
from aiohttp.web import RouteDef

from bot.backends import http
from bot.backends.predictions import CogPrediction, make_snapshot
from bot.backends.replicate.client import (
    DESTINATION,
    ReplicateClient,
    create_destination,
    find_matching_runs,
    find_trainings,
    replace_files_with_urls,
    start_training,
)
from bot.backends.replicate.errors import SERVICE_DOWN
from bot.backends.replicate.models import PricePages
from bot.backends.replicate.watching import (
    POLLS_PER_SECOND,
    PredictionPoller,
    ReplicateStreams,
    RunWatcher,
    StreamAddresses,
)
from bot.backends.replicate.webhooks import WEBHOOK_PATH, ReplicateWebhooks, WebhookWaiters
from bot.backends.run_errors import explain_failure, is_transient
from bot.core.backend import (
    BackendConfig,
    BackendKind,
    Deployments,
    Inputs,
    RunEvent,
    RunNotificationHandler,
    RunSnapshot,
)
from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.errors import BackendDown, BackendOutOfCredit, InputRefused, ModelFailed, ModelFlagged, PredictionGone
from bot.core.json import JSON, get_text
from bot.core.models import Model, ModelListing, ModelSchema, PublishedVersion, Task

DIRECTORY_SECONDS = 300.0
"""How long a published schema and a search are remembered: a form asks for the same schema at each of its steps."""

log = logging.getLogger(__name__)


BuildWebhookUrl = Callable[[str], str | None]
"""Returns the webhook address for a job's run, None without a public address."""


def build_no_webhook_url(job: str) -> str | None:
    """Return no address: Replicate cannot reach this process."""
    return None


def make_webhook_url_builder(public_url: str | None) -> BuildWebhookUrl:
    """Return a builder of our route's address."""
    # The address carries the job, since a webhook may arrive before the reply to the create names the prediction.
    return (
        build_no_webhook_url
        if public_url is None
        else lambda job: f"{public_url.rstrip('/')}{WEBHOOK_PATH}?{urlencode({'job': job})}"
    )


class BillingState:
    """Whether the account can pay. The log has one error per episode, however many creates Replicate refuses.

    An episode begins with the first 402 and ends with the first successful create.
    """

    def __init__(self) -> None:
        self._is_out_of_credit = False

    def record_refusal(self) -> None:
        """Note a create that was refused with 402."""
        if not self._is_out_of_credit:
            log.error("backend.out_of_credit", extra={"backend": "replicate", "see": "replicate.com/account/billing"})
        self._is_out_of_credit = True

    def record_payment(self) -> None:
        """Note a create that succeeded."""
        if self._is_out_of_credit:
            log.warning("backend.credit_is_back", extra={"backend": "replicate"})
        self._is_out_of_credit = False


class ReplicateBackend:
    """Runs predictions at Replicate, or at a server with the same API. `base_url` has no `/v1`."""

    finds_runs = True
    keeps_runs = False  # Replicate deletes inputs, outputs and logs after an hour

    def __init__(
        self,
        base_url: str,
        token: str,
        clock: Clock,
        *,
        config: BackendConfig | None = None,
        build_webhook_url: BuildWebhookUrl = build_no_webhook_url,
        api_timeout: httpx.Timeout = http.API_TIMEOUT,
        stream_timeout: httpx.Timeout = http.STREAM_TIMEOUT,
        polls_per_second: float = POLLS_PER_SECOND,
    ) -> None:
        self.config = config or BackendConfig("replicate", BackendKind.REPLICATE, base_url.rstrip("/"))
        self.name = self.config.name
        context = http.create_context_for(base_url)
        self.client = ReplicateClient(base_url, token.strip(), clock, context=context, timeout=api_timeout)
        self._streams = ReplicateStreams(self.client.api.origins, self.client.api.authorization, timeout=stream_timeout)
        self._poller = PredictionPoller(self.client.get_prediction, clock, per_second=polls_per_second)
        self._training_poller = PredictionPoller(self._get_training, clock, per_second=polls_per_second)
        self._trainings: set[str] = set()
        """The ids of trainings, which are cancelled at an address of their own; a few a day."""
        self._stream_addresses = StreamAddresses(self.client.api.origins)
        self._webhook_waiters = WebhookWaiters()
        self._webhooks = ReplicateWebhooks(self._read_webhook_secret, self._webhook_waiters, clock)
        self._billing_state = BillingState()
        self._prices = PricePages(base_url, context=context)
        self._schemas: TtlCache[tuple[str, str], ModelSchema] = TtlCache(clock, DIRECTORY_SECONDS)
        self._searches: TtlCache[tuple[str, int], Sequence[ModelListing]] = TtlCache(clock, DIRECTORY_SECONDS)
        self._clock = clock
        self._build_webhook_url = build_webhook_url

    def routes(self, take: RunNotificationHandler) -> list[RouteDef]:
        """Return the routes of Replicate's webhooks, none for a server that gets no address for its webhooks."""
        return [] if self._build_webhook_url is build_no_webhook_url else self._webhooks.routes(take)

    @property
    def deployments(self) -> Deployments:
        """Return the deployments of the token's account."""
        return self.client.deployments

    def admit(self) -> None:
        """Raise `BackendDown` while Replicate is away, except for one request at a time that probes."""
        self.client.api.circuit_breaker.admit()

    def check(self) -> None:
        """Raise `BackendDown` while Replicate is away."""
        self.client.api.circuit_breaker.check()

    @asynccontextmanager
    async def slot_for_create(self, *, is_retry: bool = False) -> AsyncIterator[None]:
        """Wait for leave to create. Raise `BackendDown` while Replicate is away, `BackendBusy` after a long refusal."""
        self.client.api.circuit_breaker.raise_if_open()
        async with self.client.create_limiter.acquire(is_retry=is_retry):
            yield

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Turn files into data URLs (up to 256 kB) or uploads. Raise `InputRefused` for a file that is gone."""
        if self._build_webhook_url is not build_no_webhook_url:
            await self._webhooks.learn_secret()
        prepared = await replace_files_with_urls(self.client, inputs)
        if model.task is Task.TRAIN:
            prepared[DESTINATION] = await create_destination(self.client, get_text(prepared, DESTINATION))
        return prepared

    async def submit(
        self, model: Model, inputs: Mapping[str, JSON], *, job: str, run: str, cancel_after_seconds: int
    ) -> str:
        """Create a prediction and return its id. Raises as `ReplicateClient.create_prediction` does.

        Replicate chooses the ids: `run` is not sent.
        """
        try:
            if model.task is Task.TRAIN:
                training_id = await start_training(self.client, model, inputs)
                self._trainings.add(training_id)
                return training_id
            prediction = await self.client.create_prediction(
                model.version or model.ref,
                inputs,
                cancel_after_seconds=cancel_after_seconds,
                webhook=self._build_webhook_url(job),
                deployment=model.deployment,
            )
        except PredictionGone as error:  # a create's 404 means the model
            raise InputRefused(f"The model service has no model called {model.ref}.") from error
        except BackendOutOfCredit:
            self._billing_state.record_refusal()
            raise
        self._billing_state.record_payment()
        self._stream_addresses.remember(prediction)
        return prediction.id

    def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        """Follow a run. Raise `PredictionGone`, or `BackendDown` if the service stays away for five minutes.

        A caller that stops before `RunEnded` closes the iterator (`contextlib.aclosing`), which ends its tasks.
        """
        if model.task is Task.TRAIN:
            self._trainings.add(backend_id)
        return RunWatcher(
            model,
            backend_id,
            streams=self._streams,
            poller=self._training_poller if model.task is Task.TRAIN else self._poller,
            stream_addresses=self._stream_addresses,
            webhook_waiters=self._webhook_waiters if self._build_webhook_url(backend_id) else None,
            clock=self._clock,
        ).watch()

    async def cancel(self, backend_id: str) -> None:
        """Ask Replicate to stop a run. Harmless for an ended or deleted run."""
        with suppress(PredictionGone, InputRefused):
            if backend_id in self._trainings:
                await self.client.trainings.cancel(backend_id)
            else:
                await self.client.cancel_prediction(backend_id)

    async def forget(self, backend_id: str) -> None:
        """Do nothing: Replicate forgets by itself."""

    async def find(
        self, model: Model, inputs: Mapping[str, JSON], *, run: str, created_after: datetime
    ) -> list[RunSnapshot]:
        """Return the runs of a model with equal inputs created since a time, oldest first."""
        find = find_trainings if model.task is Task.TRAIN else find_matching_runs
        runs = await find(self.client, model, inputs, created_after=created_after)
        return [make_snapshot(run, model) for run in runs]

    def explain(self, snapshot: RunSnapshot) -> ModelFailed | ModelFlagged:
        """Return the error for an ended run without a result."""
        return explain_failure(snapshot)

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        """Return whether another run is worth its price: after high demand (E003) or a short outage (E004)."""
        return is_transient(snapshot)

    async def probe(self) -> str:
        """Check the token and the connection; return one sentence for the owner."""
        account = await self.client.get_account()
        name = account.get("username") or account.get("name") or "an unnamed account"
        return f"Replicate answers, as {name}."

    async def _get_training(self, training_id: str) -> CogPrediction:
        return (await self.client.trainings.get(training_id)).run

    async def search_models(self, text: str, *, limit: int) -> Sequence[ModelListing]:
        """Return the models that match a text best, remembered for `DIRECTORY_SECONDS`."""
        return await self._searches.get((text, limit), lambda: self._search(text, limit))

    async def _search(self, text: str, limit: int) -> Sequence[ModelListing]:
        pages = await self.client.models.search(text, limit=limit)
        return [
            ModelListing(page.ref, page.description, page.run_count, page.is_official) for page in pages if page.ref
        ]

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return a schema with the published price, remembered for `DIRECTORY_SECONDS`."""
        return await self._schemas.get((ref, version), lambda: self._read_schema(ref, version))

    async def _read_schema(self, ref: str, version: str) -> ModelSchema:
        schema = await self.client.models.get_schema(ref, version)
        return replace(schema, price_tiers=await self._prices.read(ref))

    async def list_versions(self, ref: str, *, limit: int) -> Sequence[PublishedVersion]:
        """Return a model's versions, newest first."""
        found: list[PublishedVersion] = []
        async with aclosing(self.client.models.list_versions(ref)) as versions:
            async for version in versions:
                if len(found) >= limit:
                    break
                found.append(PublishedVersion(version.id, version.created_at))
        return found

    async def _read_webhook_secret(self) -> str:
        """Return the current secret. Raise `BackendDown` without a request if Replicate's last call failed."""
        # Calls of running jobs find out when Replicate is back; a stranger's webhook must not ask in their place.
        if self.client.api.circuit_breaker.is_failing:
            raise BackendDown(SERVICE_DOWN)
        return await self.client.get_webhook_secret()

    async def close(self) -> None:
        """Close connections. Watches are closed by their callers."""
        await self.client.close()
        await self._prices.close()
        await self._streams.close()
