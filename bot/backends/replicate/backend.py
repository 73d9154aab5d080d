"""Replicate as a `Backend`: the protocol's methods, each one handed to the part that knows how."""

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime

import httpx

from bot.backends import http
from bot.backends.replicate import adoption, failures
from bot.backends.replicate.addresses import StreamAddresses
from bot.backends.replicate.client import ReplicateClient
from bot.backends.replicate.inputs import with_addresses
from bot.backends.replicate.poller import LOOKS_PER_SECOND, Poller
from bot.backends.replicate.snapshots import snapshot_from
from bot.backends.replicate.streams import Streams
from bot.backends.replicate.watching import Watch
from bot.core.clock import Clock
from bot.core.errors import InputRefused, ModelFailed, ModelFlagged, PredictionGone
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.predictions import Event, Inputs, Snapshot

WebhookFor = Callable[[str], str | None]
"""The address to call when a job's run is over, or None without a public one."""


def no_webhook(job: str) -> str | None:
    """Nobody can call us."""
    return None


class ReplicateBackend:
    """Runs predictions at Replicate, or at whatever speaks its API at `base_url` (given without `/v1`)."""

    name = "replicate"

    def __init__(
        self,
        base_url: str,
        token: str,
        clock: Clock,
        *,
        webhook_for: WebhookFor = no_webhook,
        api_timeout: httpx.Timeout = http.API_TIMEOUT,
        stream_timeout: httpx.Timeout = http.STREAM_TIMEOUT,
        looks_per_second: float = LOOKS_PER_SECOND,
    ) -> None:
        context = http.tls()
        self.client = ReplicateClient(base_url, token.strip(), clock, context=context, timeout=api_timeout)
        self._streams = Streams(self.client.origins, self.client.authorization, context=context, timeout=stream_timeout)
        self._poller = Poller(self.client.get_prediction, clock, per_second=looks_per_second)
        self._addresses = StreamAddresses(self.client.origins)
        self._clock = clock
        self._webhook_for = webhook_for

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Turn files into data URLs (up to 256 kB) or uploads. Raises `InputRefused` for a file that is gone."""
        return await with_addresses(self.client, inputs)

    async def submit(self, model: Model, inputs: Mapping[str, JSON], *, job: str, cancel_after_seconds: int) -> str:
        """Create a prediction; its stream is remembered for `watch`. See `ReplicateClient.create_prediction`."""
        try:
            prediction = await self.client.create_prediction(
                model.version or model.ref,
                inputs,
                cancel_after_seconds=cancel_after_seconds,
                webhook=self._webhook_for(job),
            )
        except PredictionGone as error:  # 404: there is nothing to create it from
            raise InputRefused(f"The model service has no model called {model.ref}.") from error
        self._addresses.learn(prediction)
        return prediction.id

    def watch(self, model: Model, backend_id: str) -> AsyncGenerator[Event, None]:
        """Follow a run. Raises `PredictionGone`, or `BackendDown` when the service stays away for five minutes.

        Close it (`contextlib.aclosing`) when you leave before `Ended`: that ends its tasks and its connection.
        """
        return Watch(
            model,
            backend_id,
            streams=self._streams,
            poller=self._poller,
            addresses=self._addresses,
            clock=self._clock,
        ).events()

    async def cancel(self, backend_id: str) -> None:
        """Ask for a run to stop. One that is over or gone is left alone."""
        try:
            await self.client.cancel_prediction(backend_id)
        except (PredictionGone, InputRefused):
            return

    async def find(self, model: Model, inputs: Mapping[str, JSON], *, created_after: datetime) -> list[Snapshot]:
        """Runs of this model with these inputs, created since, oldest first."""
        runs = await adoption.find(self.client, model, inputs, created_after=created_after)
        return [snapshot_from(run, model) for run in runs]

    def explain(self, snapshot: Snapshot) -> ModelFailed | ModelFlagged:
        """Why an ended run gave nothing."""
        return failures.explain(snapshot)

    async def probe(self) -> str:
        """Check token and reach; one sentence for the owner."""
        account = await self.client.get_account()
        who = account.get("username") or account.get("name") or "an unnamed account"
        return f"Replicate answers, as {who}."

    async def close(self) -> None:
        """Let connections go. Watches are closed by who opened them."""
        await self.client.close()
        await self._streams.close()
