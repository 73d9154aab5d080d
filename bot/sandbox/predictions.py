"""One prediction of the sandbox and its JSON, as in the OpenAPI document of Replicate."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.sandbox.clock import format_timestamp
from bot.sandbox.events import SandboxEventLog
from bot.sandbox.faults import FaultKind, SandboxFault
from bot.sandbox.ids import new_opaque_token, new_prediction_id


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
    """What is known of one run. `version` is "hidden" for official models."""

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
    started_at: datetime | None = None
    completed_at: datetime | None = None
    data_removed: bool = False
    fingerprint: str = ""
    cuts_left: int = 0
    events: SandboxEventLog = field(default_factory=SandboxEventLog)
    # The body that a blocking create answers with: Replicate lets go once outputs exist, before the end.
    ready: "asyncio.Future[dict[str, Any]]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __post_init__(self) -> None:
        self.fingerprint = compute_fingerprint(self.model, self.input)

    def has_fault(self, kind: FaultKind) -> bool:
        return self.fault is not None and self.fault.kind is kind

    def build_body(self, base_url: str) -> dict[str, Any]:
        """The JSON of GET /v1/predictions/{id}."""
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
            "urls": self._urls(base_url),
        }
        return body | self._moments() | self._options()

    def estimate_bytes(self) -> int:
        """About how much memory its data takes."""
        texts = json.dumps([self.input, self.output], default=str)
        return 2000 + len(texts) + len(self.logs) + 200 * len(self.events)

    def is_expired(self, now: datetime, lifetime_seconds: float) -> bool:
        return self.completed_at is not None and now >= self.completed_at + timedelta(seconds=lifetime_seconds)

    def remove_data(self) -> None:
        """Input, output and logs go; the record stays."""
        self.input, self.output, self.logs, self.data_removed = {}, None, "", True
        self.events.clear()

    def _urls(self, base_url: str) -> dict[str, str]:
        get = f"{base_url}/v1/predictions/{self.id}"
        kind = "files" if self.streams_files else "streams"
        stream = f"{base_url}/v1/{kind}/{self.stream_token}"
        return {"get": get, "cancel": f"{get}/cancel", "stream": stream, "web": f"{base_url}/p/{self.id}"}

    def _moments(self) -> dict[str, str]:
        moments = {"started_at": self.started_at, "completed_at": self.completed_at, "deadline": self.deadline}
        return {name: format_timestamp(moment) for name, moment in moments.items() if moment}

    def _options(self) -> dict[str, Any]:
        options = {
            "webhook": self.webhook,
            "webhook_events_filter": list(self.webhook_events_filter) if self.webhook_events_filter else None,
            "deployment": self.deployment,
        }
        return {name: value for name, value in options.items() if value is not None}


def compute_fingerprint(model: str, model_input: Mapping[str, Any]) -> str:
    """Equal for equal asks: what the counts of GET /sandbox/predictions go by."""
    canonical = json.dumps([model, model_input], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
