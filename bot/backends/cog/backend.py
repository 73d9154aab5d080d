"""Cog's server as a `Backend`: files as data URLs, our own id for each run, creates in turn."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import datetime

from bot.backends.cog.client import CogClient, CogHealth, CogRun, CogStatus
from bot.backends.cog_schema import CogSchema
from bot.backends.http import make_data_url, read_input_file
from bot.backends.owned_runs import OwnedRuns
from bot.backends.run_errors import explain_failure
from bot.backends.server import ServerBackend
from bot.core.backend import (
    BackendConfig,
    InputFile,
    Inputs,
    InputValue,
    LostRuns,
    PredictionState,
    RunEnded,
    RunEvent,
    RunSnapshot,
)
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import BackendDown, BackendError, InputRefused, RunLost, SubmitUnclear
from bot.core.json import JSON
from bot.core.limits import MAX_COG_BODY_BYTES
from bot.core.models import FieldKind, Model, ModelSchema, SchemaField

log = logging.getLogger(__name__)

MAX_STARTING_SECONDS = 600.0
"""A broken worker stays STARTING for ever; loading large weights takes minutes."""

MAX_BUSY_SECONDS = 1_800.0
"""Without a slot for so long, strangers or a hanging run have the server."""

_FIRST_HEALTH_SECONDS = 0.25
_MAX_HEALTH_SECONDS = 2.0
_HEALTH_GROWTH = 1.5

CANCEL_SECONDS = 10
"""A model still running so long after a cancel loses the connection. The run then ends without metering."""

_FILE_KINDS = {FieldKind.FILE, FieldKind.FILES}
_MAX_REMEMBERED_LOST_RUNS = 1_000


class CogBackend(ServerBackend):
    """Runs the model of a Cog server. A run lives as long as the connection of its create."""

    def __init__(self, config: BackendConfig, clock: Clock, public_url: str | None = None) -> None:
        """Take no public address: the output comes in the reply to the create, and a lost webhook would lose it."""
        self._client = CogClient(config, clock)
        super().__init__(config, self._client.api)
        self._clock = clock
        self._runs = OwnedRuns(config.name, clock)
        self._creating = asyncio.Lock()
        self._lost_runs: RecentItems[str, None] = RecentItems(_MAX_REMEMBERED_LOST_RUNS)

    @property
    def finds_runs(self) -> bool:
        """Return whether a broken create may be sent again: a run ends within a second after the connection."""
        return self.config.lost_runs is LostRuns.REFUND

    @asynccontextmanager
    async def slot_for_create(self, *, is_retry: bool = False) -> AsyncIterator[None]:
        """Wait until the server has a free slot. Raise `BackendDown` for an absent, broken or stuck server."""
        async with super().slot_for_create(is_retry=is_retry), self._creating:
            await self._wait_until_free()
            yield

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Turn files into data URLs. Raise `InputRefused` for a missing file, and for words in a file's field."""
        schema = await self._client.get_schema()
        check_file_fields(model, inputs, schema, self._client.service)
        prepared = {name: await _prepare_input(value) for name, value in inputs.items()}
        if sum(_measure(value) for value in prepared.values()) > MAX_COG_BODY_BYTES:
            raise InputRefused(f"{self._client.service} does not take files of this size. Try a smaller one.")
        return prepared

    async def submit(
        self, model: Model, inputs: Mapping[str, JSON], *, job: str, run: str, cancel_after_seconds: int
    ) -> str:
        """Create the run with the bot's own id, and return the id once the run began.

        Raise `BackendBusy` without a free slot, `InputRefused` for inputs that the model does not take, `SubmitUnclear`
        if the connection breaks before.
        """
        events = CogRun(self._client, self._clock, model, run, dict(inputs)).follow()
        try:
            return await self._runs.start(run, events, max_seconds=cancel_after_seconds)
        except RunLost as error:
            raise SubmitUnclear(str(error)) from error

    async def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        """Follow a run. A run lost with its connection ends as failed, to be run once more on the owner's hardware."""
        try:
            async with aclosing(self._runs.watch(backend_id)) as events:
                async for event in events:
                    yield event
        except RunLost as error:
            if self.config.lost_runs is LostRuns.CHARGE:
                raise
            self._lost_runs[backend_id] = None
            yield RunEnded(RunSnapshot(backend_id, PredictionState.FAILED, error=str(error)))

    async def cancel(self, backend_id: str) -> None:
        """Ask the server to end a run; close the connection of a stubborn run. Harmless for an ended run."""
        for _ in range(CANCEL_SECONDS):
            if not await self._client.cancel(backend_id):
                break
            # The reply to the create tells how long the model ran: wait for the reply before closing the connection.
            # The server loses a cancel that arrives before the model's first step (coglet 0.23.1): cancel again.
            await self._clock.sleep(1.0)
        await self._runs.cancel(backend_id)

    async def find(
        self, model: Model, inputs: Mapping[str, JSON], *, run: str, created_after: datetime
    ) -> list[RunSnapshot]:
        """Return no run: the run of an unclear create ended with the connection."""
        return []

    def explain(self, snapshot: RunSnapshot) -> BackendError:
        """Return the error of a run without output."""
        return self._runs.get_error(snapshot.backend_id) or explain_failure(snapshot)

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        """Return whether a restart or a broken connection lost the run: a second run costs the owner's time alone."""
        return snapshot.backend_id in self._lost_runs

    async def probe(self) -> str:
        """Return one sentence about the server. Raise `BackendDown` for a server without a working model."""
        health = await self._client.get_health()
        if broken := self._client.describe_broken(health):
            raise BackendDown(broken)
        await self._client.get_schema()
        name = f"{self._client.service} ({f'Cog {health.version}'.strip()})"
        if health.status is CogStatus.UNHEALTHY:
            # The server still takes runs.
            return f"{name} runs, but the model's own health check fails{health.reason and f': {health.reason}'}."
        return f"{name} is {health.status.lower()}."

    async def list_models(self) -> list[str]:
        """Return the server's only model, named after the table."""
        return [self.name]

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return inputs and output of the server's model; any `ref` names the model."""
        schema = await self._client.get_schema()
        return ModelSchema(
            ref=ref,
            version="",
            newest_version="",
            is_official=True,
            fields=schema.read_fields(),
            output=schema.read_output_kind(),
            backend=self.name,
            page=self.name,
        )

    async def close(self) -> None:
        await self._runs.close()
        await self._client.close()

    async def _wait_until_free(self) -> None:
        wait, since = _FIRST_HEALTH_SECONDS, self._clock.monotonic()
        while (health := await self._client.get_health()).status in (CogStatus.STARTING, CogStatus.BUSY):
            self._raise_if_stuck(health, self._clock.monotonic() - since)
            await self._clock.sleep(wait)
            wait = min(wait * _HEALTH_GROWTH, _MAX_HEALTH_SECONDS)
        if broken := self._client.describe_broken(health):
            log.error("cog.broken", extra={"backend": self.name, "status": health.status, "reason": health.reason})
            raise BackendDown(broken)

    def _raise_if_stuck(self, health: CogHealth, seconds: float) -> None:
        if health.status is CogStatus.STARTING and seconds > MAX_STARTING_SECONDS:
            raise BackendDown(f"{self._client.service} does not finish loading its model. My owner has to look at it.")
        if seconds > MAX_BUSY_SECONDS:
            raise BackendDown(f"{self._client.service} is busy with other work for too long. Try again later.")


def check_file_fields(model: Model, inputs: Inputs, schema: CogSchema, service: str) -> None:
    """Raise `InputRefused` for a value other than a file in a field for files.

    The server opens any other text in such a field as a path on the server's disk (cog docs/http.md).
    """
    fields = {field.name: field for field in schema.read_fields() or ()}
    for name, value in inputs.items():
        is_owners = name in model.fixed and model.fixed[name] == value
        if not is_owners and not _is_safe(value, fields.get(name)):
            raise InputRefused(f"{service} takes a file for {name}, and the catalogue sends words. Tell my owner.")


def _is_safe(value: InputValue, field: SchemaField | None) -> bool:
    if field is None or not field.kinds & _FILE_KINDS:
        return True
    if isinstance(value, tuple):
        return all(isinstance(file, InputFile) for file in value)
    return value is None or isinstance(value, InputFile)


async def _prepare_input(value: InputValue) -> JSON:
    if isinstance(value, tuple):
        return [await _make_data_url(file) for file in value]
    return await _make_data_url(value) if isinstance(value, InputFile) else value


async def _make_data_url(file: InputFile) -> str:
    return make_data_url(await read_input_file(file), file.mime)


def _measure(value: JSON) -> int:
    if isinstance(value, list):
        return sum(_measure(item) for item in value)
    return len(value) if isinstance(value, str) else 0
