"""Calls Cog's HTTP server, one method for each call of the bot: health, schema, creates, looks and cancels."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

import httpx

from bot.backends.cog_schema import CogSchema
from bot.backends.predictions import CogPrediction, parse_prediction
from bot.backends.server import ServerApi, ServerReply
from bot.core.backend import BackendConfig
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown, BackendError, InputRefused
from bot.core.json import JSON, as_object, get_object, get_text

_JSON = {"Content-Type": "application/json"}
_CONNECT_SECONDS = 5.0
_SEND_SECONDS = 60.0

# A sync reply comes with the end of the run, however long the model takes: `OwnedRuns` bounds the time.
_RUN_TIMEOUT = httpx.Timeout(None, connect=_CONNECT_SECONDS, write=_SEND_SECONDS)

_BUSY_SECONDS = 1.0
_MAX_SETUP_CHARACTERS = 200


class CogStatus(StrEnum):
    """The `status` of /health-check. The server answers predictions while UNHEALTHY."""

    STARTING = "STARTING"
    READY = "READY"
    BUSY = "BUSY"
    SETUP_FAILED = "SETUP_FAILED"
    DEFUNCT = "DEFUNCT"
    UNHEALTHY = "UNHEALTHY"


@dataclass(frozen=True, slots=True)
class CogHealth:
    """The state of the server. `reason` is the last line of the setup's log, or the error of the model's own check."""

    status: CogStatus
    version: str = ""
    reason: str = ""


class CogClient:
    """Typed calls of one server. All raise a `BackendError` with the server's name."""

    def __init__(self, config: BackendConfig, clock: Clock) -> None:
        self.api = ServerApi(config, clock)
        self.service = self.api.service

    async def get_health(self) -> CogHealth:
        """GET /health-check. The server answers 200 in every state."""
        try:
            body = await self.api.request_json("GET", "/health-check")
            status = CogStatus(get_text(body, "status"))
        except (InputRefused, ValueError) as error:
            raise BackendDown(f"{self.service} is no Cog server: /health-check has no status.") from error
        version = get_object(body, "version")
        lines = get_text(get_object(body, "setup"), "logs").strip().splitlines()
        words = get_text(body, "user_healthcheck_error") or (lines[-1] if lines else "")
        reason = self.api.clean_reason(words)[:_MAX_SETUP_CHARACTERS]
        number = get_text(version, "coglet") or get_text(version, "python_sdk") or get_text(version, "cog")
        return CogHealth(status, number, reason)

    def describe_broken(self, health: CogHealth) -> str:
        """Return the sentence for a server without a working model; empty for a working or starting server."""
        if health.status is CogStatus.SETUP_FAILED:
            return f"{self.service} could not load its model{health.reason and f': {health.reason}'}."
        if health.status is CogStatus.DEFUNCT:
            return f"{self.service} has lost its model and must be restarted."
        return ""

    async def get_schema(self) -> CogSchema:
        """GET /openapi.json. Raise `InputRefused` without a schema: words could not be told from files."""
        reply = await self.api.request("GET", "/openapi.json")
        if reply.status == 503:
            raise InputRefused(
                f"{self.service} publishes no schema, so words cannot be told from files. "
                "Its owner builds the model with “cog build”."
            )
        return CogSchema(as_object(self._parse_success(reply)))

    @asynccontextmanager
    async def create(
        self, run: str, inputs: Mapping[str, JSON], *, wants_stream: bool
    ) -> AsyncIterator[httpx.Response]:
        """PUT /predictions/{run}: yield the response, before its body is read. Closing the response ends the run."""
        # httpx's own encoder fails on half an emoji (a lone surrogate).
        content = json.dumps({"id": run, "input": dict(inputs)}).encode()
        headers = _JSON | {"Accept": "text/event-stream" if wants_stream else "application/json"}
        async with self.api.stream(
            "PUT",
            f"/predictions/{run}",
            sent=asyncio.Event(),  # asks for `RunLost` where the server may have begun
            content=content,
            headers=headers,
            timeout=_RUN_TIMEOUT,
        ) as response:
            yield response

    async def look(self, run: str) -> CogPrediction | None:
        """Return a run in flight, with the logs so far; None where the server does not tell.

        A PUT with the id of a run in flight returns the run's state (202). Without an object as input the same
        PUT is harmless after the end: the server refuses the input, where a whole input would run the model again.
        Tried with coglet 0.23.1; servers up to 0.16 refuse the input first and so tell nothing.
        """
        content = json.dumps({"id": run, "input": "look"}).encode()
        reply = await self.api.request("PUT", f"/predictions/{run}", content=content, headers=_JSON)
        return self.parse_prediction(reply) if reply.status == 202 else None

    async def cancel(self, run: str) -> bool:
        """POST /predictions/{run}/cancel; return whether the run was in flight."""
        reply = await self.api.request("POST", f"/predictions/{run}/cancel")
        if reply.status == 404:
            return False
        self._parse_success(reply)
        return True

    def parse_prediction(self, reply: ServerReply) -> CogPrediction:
        """Return the prediction of a success. Raise `BackendDown` for another body."""
        try:
            return parse_prediction(self._parse_success(reply))
        except ValueError as error:
            raise BackendDown(f"{self.service} answers with something that is no prediction.") from error

    def read_error(self, reply: ServerReply) -> BackendError:
        """Return the error of a refused create. No refusal made a run."""
        if reply.status == 409:
            return BackendBusy(f"{self.service} is busy with other runs.", retry_after_seconds=_BUSY_SECONDS)
        if reply.status == 503:
            return BackendBusy(f"{self.service} is starting.", retry_after_seconds=_BUSY_SECONDS)
        if reply.status == 413:
            return InputRefused(f"{self.service} does not take files of this size. Try a smaller one.")
        return self.api.read_error(reply)

    async def close(self) -> None:
        await self.api.close()

    def _parse_success(self, reply: ServerReply) -> JSON:
        if not 200 <= reply.status < 300:
            raise self.api.read_error(reply)
        try:
            return reply.parse()
        except ValueError as error:
            raise BackendDown(f"{self.service} answers with something that is not JSON. Is its url right?") from error
