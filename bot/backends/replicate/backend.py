"""Replicate as a `Backend`: the protocol's methods, each one handed to the part that knows how."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlencode

import httpx
from aiohttp.web import RouteDef

from bot.backends import http
from bot.backends.replicate import adoption, failures
from bot.backends.replicate.addresses import StreamAddresses
from bot.backends.replicate.bells import Bells
from bot.backends.replicate.client import ReplicateClient
from bot.backends.replicate.credit import Credit
from bot.backends.replicate.inputs import with_addresses
from bot.backends.replicate.poller import LOOKS_PER_SECOND, Poller
from bot.backends.replicate.snapshots import snapshot_from
from bot.backends.replicate.streams import Streams
from bot.backends.replicate.watching import Watch
from bot.backends.replicate.webhooks import PATH, Webhooks
from bot.core.backend import TakeNotice
from bot.core.clock import Clock
from bot.core.errors import BackendOutOfCredit, InputRefused, ModelFailed, ModelFlagged, PredictionGone
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.predictions import Event, Inputs, Snapshot

WebhookFor = Callable[[str], str | None]
"""The address to call when a job's run starts and ends, or None without a public one."""


def no_webhook(job: str) -> str | None:
    """Nobody can call us."""
    return None


def webhook_at(public_url: str | None) -> WebhookFor:
    """The address of our route, with the job in it: so that a webhook can be matched before its create is answered."""
    return no_webhook if public_url is None else lambda job: f"{public_url.rstrip('/')}{PATH}?{urlencode({'job': job})}"


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
        self._bells = Bells()
        self._webhooks = Webhooks(self.client.get_webhook_secret, self._bells, clock)
        self._credit = Credit()
        self._clock = clock
        self._webhook_for = webhook_for

    def routes(self, take: TakeNotice) -> list[RouteDef]:
        """What the server has to answer: Replicate's webhooks. `take` writes each down, once."""
        return self._webhooks.routes(take)

    def admit(self) -> None:
        """Raises `BackendDown` while Replicate is away, but for one ask at a time that finds out."""
        self.client.circuit.admit()

    def check(self) -> None:
        """Raises `BackendDown` while Replicate is away."""
        self.client.circuit.check()

    @asynccontextmanager
    async def turn(self, *, is_again: bool = False) -> AsyncIterator[None]:
        """Wait in line for leave to create. Raises `BackendDown` while Replicate is away, and `BackendBusy` when nobody
        may create for ten minutes."""
        self.client.circuit.refuse_while_open()
        async with self.client.gate.turn(is_again=is_again):
            yield

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
                deployment=model.deployment,
            )
        except PredictionGone as error:  # 404: there is nothing to create it from
            raise InputRefused(f"The model service has no model called {model.ref}.") from error
        except BackendOutOfCredit:
            self._credit.refused()
            raise
        self._credit.paid()
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
            bells=self._bells if self._webhook_for(backend_id) else None,
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

    def may_try_again(self, snapshot: Snapshot) -> bool:
        """High demand and a model that is away for a moment (E003, E004) are worth one more run."""
        return failures.is_passing(snapshot)

    async def probe(self) -> str:
        """Check token and reach; one sentence for the owner."""
        account = await self.client.get_account()
        who = account.get("username") or account.get("name") or "an unnamed account"
        return f"Replicate answers, as {who}."

    async def close(self) -> None:
        """Let connections go. Watches are closed by who opened them."""
        await self.client.close()
        await self._streams.close()
