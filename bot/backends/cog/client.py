"""Calls Cog's HTTP server: health, schema, creates, looks and cancels; and follows a run on its create's connection.

A run is followed by server-sent events, or by looks until the reply comes. The run ends with the connection: a kill of
the bot leaves no run at the server, and nothing has to be adopted.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

import httpx

from bot.backends.cog_schema import CogSchema
from bot.backends.http import EventReader, ServerSentEvent
from bot.backends.model_texts import extract_text
from bot.backends.predictions import CogPrediction, RunEvents, parse_prediction
from bot.backends.server import ServerApi, ServerReply
from bot.core.backend import BackendConfig, RunEnded, RunEvent
from bot.core.background_tasks import first_completed
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown, BackendError, InputRefused, RunLost
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.limits import MAX_SERVER_REPLY_BYTES
from bot.core.models import Model

_JSON = {"Content-Type": "application/json"}
_CONNECT_SECONDS = 5.0
_SEND_SECONDS = 60.0

# A sync reply comes with the end of the run, however long the model takes: `OwnedRuns` bounds the time.
_RUN_TIMEOUT = httpx.Timeout(None, connect=_CONNECT_SECONDS, write=_SEND_SECONDS)

_BUSY_SECONDS = 1.0
_MAX_SETUP_CHARACTERS = 200

FIRST_LOOK_SECONDS = 0.2
MAX_LOOK_SECONDS = 1.5
_LOOK_GROWTH = 1.5

# Servers up to 0.16 do not tell of a run in flight: a request not refused by then counts as running.
ACCEPT_SECONDS = 1.0

# The server sends comments while a model is silent, but a slow setup of a stream may take a while.
_REJOIN_SECONDS = 0.5


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


class CogRun:
    """One run: `follow` yields the events, the first once the server has taken the run."""

    def __init__(self, client: CogClient, clock: Clock, model: Model, run: str, inputs: dict[str, JSON]) -> None:
        self._client = client
        self._clock = clock
        self._run = run
        self._inputs = inputs
        self._model = model
        self._events = RunEvents(model)

    async def follow(self) -> AsyncGenerator[RunEvent, None]:
        """Yield the events up to `RunEnded`. Raise `BackendBusy` without a free slot, `RunLost` if the server goes."""
        if self._model.output.is_text:
            async with self._client.create(self._run, self._inputs, wants_stream=True) as response:
                # 406: the model does not stream. An old server ignores the wish and answers with JSON.
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    async for event in self._read_stream(response):
                        yield event
                    return
                if response.status_code != 406:
                    async for event in self._read_reply(await self._client.api.read_reply(response)):
                        yield event
                    return
        async for event in self._follow_whole_run():
            yield event

    async def _follow_whole_run(self) -> AsyncGenerator[RunEvent, None]:
        """Send the create and look until the reply; repeat the create while an earlier run of the same id goes on."""
        while not self._events.has_ended:
            reply = asyncio.create_task(self._fetch_reply())
            try:
                async for event in self._look_until(reply):
                    yield event
                async for event in self._read_reply(reply.result()):
                    yield event
            finally:
                reply.cancel()
                await asyncio.gather(reply, return_exceptions=True)
            if not self._events.has_ended:
                await self._clock.sleep(_REJOIN_SECONDS)

    async def _fetch_reply(self) -> ServerReply:
        async with self._client.create(self._run, self._inputs, wants_stream=False) as response:
            return await self._client.api.read_reply(response)

    async def _look_until(self, reply: "asyncio.Task[ServerReply]") -> AsyncGenerator[RunEvent, None]:
        wait, waited = FIRST_LOOK_SECONDS, 0.0
        while not reply.done():
            await first_completed(self._clock.sleep(wait), asyncio.shield(reply))
            if reply.done():
                return
            waited, wait = waited + wait, min(wait * _LOOK_GROWTH, MAX_LOOK_SECONDS)
            run = await self._look()
            if run is not None and not run.state.is_final:
                for event in self._events.read_prediction(run):
                    yield event
            elif waited >= ACCEPT_SECONDS:
                for event in self._events.mark_started():
                    yield event

    async def _look(self) -> CogPrediction | None:
        # A look only shows progress: the reply to the create tells of a lost server.
        with suppress(BackendError):
            return await self._client.look(self._run)
        return None

    async def _read_reply(self, reply: ServerReply) -> AsyncGenerator[RunEvent, None]:
        """Yield the events of a whole reply; no event for an earlier run of the same id (202)."""
        if reply.status == 202:
            return
        if reply.status != 200:
            raise self._client.read_error(reply)
        for event in self._events.read_prediction(self._client.parse_prediction(reply)):
            yield event

    async def _read_stream(self, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
        reader = EventReader()
        async for chunk in self._client.api.iterate_chunks(response, max_bytes=MAX_SERVER_REPLY_BYTES):
            for sent in reader.feed(chunk):
                for event in self._read_event(sent):
                    yield event
                    if isinstance(event, RunEnded):
                        return
        raise RunLost(f"{self._client.service} broke off in the middle.")

    def _read_event(self, event: ServerSentEvent) -> Iterator[RunEvent]:
        """Yield the news in an event of Cog's, whose data is JSON (cog docs/http.md)."""
        try:
            body: JSON = json.loads(event.data)
        except ValueError:
            return
        match event.event:
            case "start":
                yield from self._events.mark_started()
            case "output":
                text = extract_text(as_object(body).get("chunk"))
                yield from self._events.read_stream_event(ServerSentEvent("output", text))
            case "log":
                yield from self._events.read_stream_event(ServerSentEvent("logs", get_text(body, "data")))
            case "completed":
                yield from self._events.read_prediction(self._parse(body))
            case "error":
                raise RunLost(f"{self._client.service} lost track of the answer.")

    def _parse(self, body: JSON) -> CogPrediction:
        try:
            return parse_prediction(body)
        except ValueError as error:
            raise BackendDown(f"{self._client.service} answers with something that is no prediction.") from error
