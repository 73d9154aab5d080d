"""Server-sent events of one prediction: from the start, or from where Last-Event-ID left off."""

import asyncio
import re

from aiohttp import web

from bot.sandbox.access import allow_without_token
from bot.sandbox.clock import SandboxClock
from bot.sandbox.events import SandboxStreamEvent
from bot.sandbox.predictions import SandboxPrediction
from bot.sandbox.problems import make_not_found
from bot.sandbox.store import SandboxPredictionStore
from bot.sandbox.stream_faults import StreamFaults

_IDLE_SECONDS = 30
_LINE_END = re.compile(r"\r\n|\r|\n")
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class StreamRoutes:
    """`/v1/streams/…` carries text, `/v1/files/…` carries file URLs. The token in the path is the permission."""

    def __init__(self, clock: SandboxClock, store: SandboxPredictionStore) -> None:
        self._clock = clock
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        # The shape of the token keeps these apart from the Files API, which lives on another host at Replicate.
        address = "{token:sandbox-[a-z2-7]{52}}"
        return [web.get(f"/v1/streams/{address}", self._stream), web.get(f"/v1/files/{address}", self._stream)]

    @allow_without_token
    async def _stream(self, request: web.Request) -> web.StreamResponse:
        prediction = self._store.find_by_stream(request.match_info["token"])
        if prediction is None:
            raise make_not_found()
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        try:
            await response.write(b": hi\n\n")
            await self._send_events(request, response, prediction)
            await response.write_eof()
        except ConnectionResetError:
            pass  # the reader left
        return response

    async def _send_events(
        self, request: web.Request, response: web.StreamResponse, prediction: SandboxPrediction
    ) -> None:
        position = prediction.events.find_position_after(request.headers.get("Last-Event-ID"))
        faults = StreamFaults(prediction)
        while await self._has_more(prediction, position):
            batch = prediction.events.read_from(position)
            if _is_cut_here(prediction, batch, position) and request.transport:
                prediction.cuts_left -= 1
                await response.write(encode_event(batch[0]))
                request.transport.close()
                return
            await response.write(b"".join(map(encode_event, faults.apply(batch))))
            position += len(batch)
            if batch[-1].name == "done":
                return
        # What Replicate sends to a reader who did not stop at `done`, or whose prediction is gone.
        await response.write(b":408: 408 Request Timeout\n\n")

    async def _has_more(self, prediction: SandboxPrediction, position: int) -> bool:
        """Wait for events beyond `position`; False when none came in time."""
        growing = asyncio.ensure_future(prediction.events.wait_beyond(position))
        timer = asyncio.ensure_future(self._clock.sleep(_IDLE_SECONDS))
        try:
            await asyncio.wait({growing, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            growing.cancel()
            timer.cancel()
        return len(prediction.events) > position


def encode_event(event: SandboxStreamEvent) -> bytes:
    """The event as it travels; a newline inside its data becomes a `data:` line of its own."""
    lines = [f"event: {event.name}"]
    if event.id:
        lines.append(f"id: {event.id}")
    lines += [f"data: {line}" if line else "data:" for line in _LINE_END.split(event.data)]
    return ("\n".join(lines) + "\n\n").encode()


def _is_cut_here(prediction: SandboxPrediction, batch: list[SandboxStreamEvent], position: int) -> bool:
    """A cut stream breaks once, after some of its events have arrived, never after the last."""
    return prediction.cuts_left > 0 and (position > 0 or len(batch) > 1)
