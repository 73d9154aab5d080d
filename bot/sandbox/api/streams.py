"""Server-sent events of one prediction, from the start or after Last-Event-ID, with the faults of streams."""

import re
from collections.abc import Iterable, Iterator

from aiohttp import web

from bot.core.background_tasks import first_completed
from bot.sandbox.clock import SandboxClock
from bot.sandbox.faults import FaultKind
from bot.sandbox.middlewares import allow_without_token
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore, SandboxStreamEvent
from bot.sandbox.problems import make_not_found

_LOSE_EACH = 3


class StreamFaults:
    """Alters the events of one connection. Only `output` events change; the prediction stays whole."""

    def __init__(self, prediction: SandboxPrediction) -> None:
        self._prediction = prediction
        self._outputs_seen = 0
        self._held: SandboxStreamEvent | None = None

    def apply(self, events: Iterable[SandboxStreamEvent]) -> list[SandboxStreamEvent]:
        """Return the events to send instead of `events`."""
        return [altered for event in events for altered in self._alter(event)]

    def _alter(self, event: SandboxStreamEvent) -> Iterator[SandboxStreamEvent]:
        if self._prediction.has_fault(FaultKind.STREAM_REORDERED):
            yield from self._swap(event)
        elif event.name != "output":
            yield event
        elif self._prediction.has_fault(FaultKind.STREAM_DOUBLED):
            yield from (event, event)
        elif not self._is_lost():
            yield event

    def _is_lost(self) -> bool:
        self._outputs_seen += 1
        return self._prediction.has_fault(FaultKind.STREAM_LOST) and self._outputs_seen % _LOSE_EACH == 0

    def _swap(self, event: SandboxStreamEvent) -> Iterator[SandboxStreamEvent]:
        """Swap outputs in pairs; a single last output comes before the end."""
        held, self._held = self._held, None
        if event.name == "output" and held is None:
            self._held = event
        elif event.name == "output" and held:
            yield from (event, held)
        else:
            yield from (held, event) if held else (event,)


_IDLE_SECONDS = 30
_LINE_END = re.compile(r"\r\n|\r|\n")
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class StreamRoutes:
    """`/v1/streams/…` carries text, `/v1/files/…` carries file URLs. The token in the path is the permission."""

    def __init__(self, clock: SandboxClock, store: SandboxPredictionStore) -> None:
        self._clock = clock
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        # The token's format separates these routes from the Files API, which has another host at Replicate.
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
            pass  # the reader disconnected
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
        # Replicate's reply to a reader who continues after `done`, or whose prediction is gone.
        await response.write(b":408: 408 Request Timeout\n\n")

    async def _has_more(self, prediction: SandboxPrediction, position: int) -> bool:
        """Wait for events beyond `position`; return False after the idle time."""
        await first_completed(prediction.events.wait_beyond(position), self._clock.sleep(_IDLE_SECONDS))
        return len(prediction.events) > position


def encode_event(event: SandboxStreamEvent) -> bytes:
    """Return the event's bytes; a newline in the data begins another `data:` line."""
    lines = [f"event: {event.name}"]
    if event.id:
        lines.append(f"id: {event.id}")
    lines += [f"data: {line}" if line else "data:" for line in _LINE_END.split(event.data)]
    return ("\n".join(lines) + "\n\n").encode()


def _is_cut_here(prediction: SandboxPrediction, batch: list[SandboxStreamEvent], position: int) -> bool:
    """Return whether to cut: once, after some events, never after the last."""
    return prediction.cuts_left > 0 and (position > 0 or len(batch) > 1)
