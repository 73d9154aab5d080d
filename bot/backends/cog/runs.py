"""Follows a run on the connection of its create: by server-sent events, or by looks until the reply comes.

The run ends with the connection. So a kill of the bot leaves no run at the server, and nothing has to be adopted.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress

import httpx

from bot.backends.cog.client import CogClient
from bot.backends.http import EventReader, ServerSentEvent
from bot.backends.model_texts import extract_text
from bot.backends.predictions import CogPrediction, RunEvents, parse_prediction
from bot.backends.server import ServerReply
from bot.core.backend import RunEnded, RunEvent
from bot.core.background_tasks import first_completed
from bot.core.clock import Clock
from bot.core.errors import BackendDown, BackendError, RunLost
from bot.core.json import JSON, as_object, get_text
from bot.core.limits import MAX_SERVER_REPLY_BYTES
from bot.core.models import Model

FIRST_LOOK_SECONDS = 0.2
MAX_LOOK_SECONDS = 1.5
_LOOK_GROWTH = 1.5

# Servers up to 0.16 do not tell of a run in flight: a request not refused by then counts as running.
ACCEPT_SECONDS = 1.0

# The server sends comments while a model is silent, but a slow setup of a stream may take a while.
_REJOIN_SECONDS = 0.5


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
