"""Predictions of the sandbox: the event log of each stream, the record with its JSON, and the bounded store."""

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.core.caches import RecentItems
from bot.sandbox.clock import SandboxClock, format_timestamp
from bot.sandbox.faults import FaultKind, SandboxFault
from bot.sandbox.ids import new_opaque_token, new_prediction_id

# Lists omit these fields, a single prediction has them (replicate.com/docs/reference/http).
_WEBHOOK_FIELDS = ("webhook", "webhook_events_filter")


@dataclass(frozen=True)
class SandboxStreamEvent:
    """One server-sent event. `id` is `<unix seconds>:<sequence>`; error and done have no id."""

    name: str
    data: str
    id: str = ""


class SandboxEventLog:
    def __init__(self) -> None:
        self._events: list[SandboxStreamEvent] = []
        self._second = 0
        self._sequence = 0
        self._grown = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def append(self, name: str, data: str, unix_seconds: int) -> None:
        """Add an event with an id."""
        self._sequence = self._sequence + 1 if unix_seconds == self._second else 0
        self._second = unix_seconds
        self._add(SandboxStreamEvent(name, data, f"{unix_seconds}:{self._sequence}"))

    def close(self, name: str, data: str) -> None:
        """Add an error or done event, without an id."""
        self._add(SandboxStreamEvent(name, data))

    def clear(self) -> None:
        self._events.clear()

    def read_from(self, position: int) -> list[SandboxStreamEvent]:
        return self._events[position:]

    def find_position_after(self, event_id: str | None) -> int:
        """Return the position after `event_id`; 0 (the start) for an absent or unknown id."""
        for position, event in enumerate(self._events, start=1):
            if event_id and event.id == event_id:
                return position
        return 0

    async def wait_beyond(self, position: int) -> None:
        while len(self._events) <= position:
            await self._grown.wait()

    def _add(self, event: SandboxStreamEvent) -> None:
        self._events.append(event)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()


class SandboxStatus(StrEnum):
    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"

    @property
    def is_terminal(self) -> bool:
        return self not in (SandboxStatus.STARTING, SandboxStatus.PROCESSING)


@dataclass(eq=False)
class SandboxPrediction:
    """The record of one run. `version` is "hidden" for official models."""

    model: str
    version: str
    input: dict[str, Any]
    created_at: datetime
    streams_files: bool
    webhook: str | None = None
    webhook_events_filter: tuple[str, ...] | None = None
    deployment: str | None = None
    deadline: datetime | None = None
    fault: SandboxFault | None = None
    id: str = field(default_factory=new_prediction_id)
    stream_token: str = field(default_factory=lambda: "sandbox-" + new_opaque_token())
    status: SandboxStatus = SandboxStatus.STARTING
    output: Any = None
    error: str | None = None
    logs: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    first_output_seconds: float | None = None
    """Seconds from the create to the first token of a text."""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    data_removed: bool = False
    fingerprint: str = ""
    cuts_left: int = 0
    events: SandboxEventLog = field(default_factory=SandboxEventLog)
    # The reply of a blocking create: Replicate answers once outputs exist, before the end.
    ready: "asyncio.Future[dict[str, Any]]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __post_init__(self) -> None:
        self.fingerprint = compute_fingerprint(self.model, self.input)

    def has_fault(self, kind: FaultKind) -> bool:
        return self.fault is not None and self.fault.kind is kind

    def build_body(self, base_url: str) -> dict[str, Any]:
        """Return the JSON of GET /v1/predictions/{id}."""
        body = {
            "id": self.id,
            "model": self.model,
            "version": self.version,
            "input": self.input,
            "logs": self.logs,
            "output": list(self.output) if isinstance(self.output, list) else self.output,
            "data_removed": self.data_removed,
            "error": self.error,
            "status": str(self.status),
            "source": "api",
            "created_at": format_timestamp(self.created_at),
            "metrics": dict(self.metrics),
            "urls": self._build_urls(base_url),
        }
        return body | self._build_timestamps() | self._build_options()

    def estimate_bytes(self) -> int:
        """Return the approximate bytes of the data."""
        texts = json.dumps([self.input, self.output], default=str)
        return 2000 + len(texts) + len(self.logs) + 200 * len(self.events)

    def is_expired(self, now: datetime, lifetime_seconds: float) -> bool:
        return self.completed_at is not None and now >= self.completed_at + timedelta(seconds=lifetime_seconds)

    def remove_data(self) -> None:
        """Drop input, output and logs; the record stays."""
        self.input, self.output, self.logs, self.data_removed = {}, None, "", True
        self.events.clear()

    def build_list_entry(self, base_url: str) -> dict[str, Any]:
        """Return the JSON in a list, which omits the webhook fields."""
        return {name: value for name, value in self.build_body(base_url).items() if name not in _WEBHOOK_FIELDS}

    def _build_urls(self, base_url: str) -> dict[str, str]:
        get = f"{base_url}/v1/predictions/{self.id}"
        kind = "files" if self.streams_files else "streams"
        stream = f"{base_url}/v1/{kind}/{self.stream_token}"
        return {"get": get, "cancel": f"{get}/cancel", "stream": stream, "web": f"{base_url}/p/{self.id}"}

    def _build_timestamps(self) -> dict[str, str]:
        moments = {"started_at": self.started_at, "completed_at": self.completed_at, "deadline": self.deadline}
        return {name: format_timestamp(moment) for name, moment in moments.items() if moment}

    def _build_options(self) -> dict[str, Any]:
        options = {
            "webhook": self.webhook,
            "webhook_events_filter": list(self.webhook_events_filter) if self.webhook_events_filter else None,
            "deployment": self.deployment,
        }
        return {name: value for name, value in options.items() if value is not None}


def compute_fingerprint(model: str, model_input: Mapping[str, Any]) -> str:
    """Return a key that is equal for equal requests, for the counts of GET /sandbox/predictions."""
    canonical = json.dumps([model, model_input], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class SandboxPredictionStore:
    """Predictions by id and by stream token. Data is dropped after its lifetime, or earlier beyond the memory bound."""

    def __init__(
        self, clock: SandboxClock, *, lifetime_seconds: float, max_predictions: int = 5000, max_bytes: int = 16 << 20
    ) -> None:
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds
        self._max_bytes = max_bytes
        # Running predictions stay beyond the bound: their runs and waiting clients still need them.
        self._by_id = RecentItems[str, SandboxPrediction](
            max_predictions,
            on_evicted=self._forget_stream,
            is_pinned=lambda prediction: not prediction.status.is_terminal,
        )
        self._by_stream: dict[str, SandboxPrediction] = {}
        self._with_data: deque[tuple[SandboxPrediction, int]] = deque()
        self._bytes = 0
        self.created_count = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, prediction: SandboxPrediction) -> None:
        self._by_id[prediction.id] = prediction
        self._by_stream[prediction.stream_token] = prediction
        self.created_count += 1

    def record_finished(self, prediction: SandboxPrediction) -> None:
        """Count the prediction's data, which may be dropped from now on."""
        weight = prediction.estimate_bytes()
        self._with_data.append((prediction, weight))
        self._bytes += weight
        self.drop_old_data()

    def get(self, prediction_id: str) -> SandboxPrediction | None:
        self.drop_old_data()
        return self._by_id.get(prediction_id)

    def find_by_stream(self, token: str) -> SandboxPrediction | None:
        self.drop_old_data()
        return self._by_stream.get(token)

    def list_newest_first(self) -> Iterator[SandboxPrediction]:
        self.drop_old_data()
        return reversed(list(self._by_id.values()))

    def list_created_between(self, after: datetime | None, before: datetime | None) -> list[SandboxPrediction]:
        """Return predictions, newest first; both bounds are exclusive and optional."""
        return [
            prediction
            for prediction in self.list_newest_first()
            if (after is None or prediction.created_at > after) and (before is None or prediction.created_at < before)
        ]

    def forget_version(self, version_id: str) -> None:
        """Remove the finished predictions of a deleted version."""
        for prediction in list(self._by_id.values()):
            if prediction.version == version_id and prediction.status.is_terminal:
                prediction.remove_data()
                self._forget(prediction)

    def drop_old_data(self) -> None:
        now = self._clock.now()
        while self._with_data:
            prediction, weight = self._with_data[0]
            if self._bytes <= self._max_bytes and not prediction.is_expired(now, self._lifetime_seconds):
                return
            self._with_data.popleft()
            self._bytes -= weight
            prediction.remove_data()

    def _forget(self, prediction: SandboxPrediction) -> None:
        del self._by_id[prediction.id], self._by_stream[prediction.stream_token]

    def _forget_stream(self, _: str, prediction: SandboxPrediction) -> None:
        del self._by_stream[prediction.stream_token]
