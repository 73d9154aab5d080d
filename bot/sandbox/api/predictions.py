"""Predictions: creation by version, official model or deployment; read, list, cancel, and the stream of events.

A stream is sent from the start or after Last-Event-ID, with the faults of streams.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from aiohttp import web

from bot.core.background_tasks import first_completed
from bot.sandbox.api.deployments import SandboxDeployments
from bot.sandbox.api.requests import (
    CreateRequest,
    paginate,
    parse_lifetime_seconds,
    parse_wait_seconds,
    read_create_request,
)
from bot.sandbox.catalogue import SandboxCatalogue
from bot.sandbox.clock import SandboxClock
from bot.sandbox.engine import PredictionEngine
from bot.sandbox.faults import FaultKind, FaultPlan, raise_create_fault, raise_fault_after_create
from bot.sandbox.middlewares import allow_without_token
from bot.sandbox.model import SandboxModel, check_input, drop_unknown
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore, SandboxStreamEvent
from bot.sandbox.problems import Problem, make_invalid_input, make_not_found


class PredictionRoutes:
    def __init__(
        self,
        clock: SandboxClock,
        catalogue: SandboxCatalogue,
        deployments: SandboxDeployments,
        store: SandboxPredictionStore,
        engine: PredictionEngine,
        faults: FaultPlan,
    ) -> None:
        self._clock = clock
        self._catalogue = catalogue
        self._deployments = deployments
        self._store = store
        self._engine = engine
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/predictions", self._create_by_version),
            web.post("/v1/models/{owner}/{name}/predictions", self._create_by_model),
            web.post("/v1/deployments/{owner}/{name}/predictions", self._create_by_deployment),
            web.get("/v1/predictions", self._list),
            web.get("/v1/predictions/{id}", self._get),
            web.post("/v1/predictions/{id}/cancel", self._cancel),
        ]

    async def _create_by_version(self, request: web.Request) -> web.Response:
        create_request = await read_create_request(request, target="version")
        return await self._create(request, create_request, self._catalogue.find_by_version(create_request.target))

    async def _create_by_model(self, request: web.Request) -> web.Response:
        model = self._catalogue.find_official(_full_name(request))
        return await self._create(request, await read_create_request(request), model)

    async def _create_by_deployment(self, request: web.Request) -> web.Response:
        model = self._deployments.mark_used(_full_name(request))
        create_request = await read_create_request(request)
        return await self._create(request, create_request, model, deployment=_full_name(request))

    async def _create(
        self, request: web.Request, create_request: CreateRequest, model: SandboxModel, deployment: str | None = None
    ) -> web.Response:
        hold_seconds = parse_wait_seconds(request.headers.get("Prefer"))
        lifetime_seconds = parse_lifetime_seconds(request.headers.get("Cancel-After"))
        if errors := check_input(model.fields, create_request.input):
            raise make_invalid_input(errors)
        now = self._clock.now()
        prediction = SandboxPrediction(
            model=model.full_name,
            version=model.shown_version,
            input=drop_unknown(model.fields, create_request.input),
            created_at=now,
            streams_files=model.output.is_files,
            webhook=create_request.webhook,
            webhook_events_filter=create_request.webhook_events_filter,
            deployment=deployment,
            deadline=now + timedelta(seconds=lifetime_seconds) if lifetime_seconds else None,
        )
        prediction.fault = self._faults.take(prediction.model, prediction.input, prediction.fingerprint)
        raise_create_fault(prediction.fault)
        self._engine.start(prediction, model)
        raise_fault_after_create(prediction.fault)
        return await self._respond(prediction, hold_seconds)

    async def _respond(self, prediction: SandboxPrediction, hold_seconds: int | None) -> web.Response:
        body = prediction.build_body(self._engine.base_url)
        headers = {"Location": body["urls"]["get"]}
        if hold_seconds:
            headers["Preference-Applied"] = f"wait={hold_seconds}"
            # Shielded: the end of the wait must not cancel the future that the run completes.
            await first_completed(asyncio.shield(prediction.ready), self._clock.sleep(hold_seconds))
            body = (
                prediction.ready.result() if prediction.ready.done() else prediction.build_body(self._engine.base_url)
            )
        return web.json_response(body, status=201, headers=headers)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request).build_body(self._engine.base_url))

    async def _cancel(self, request: web.Request) -> web.Response:
        prediction = self._find(request)
        self._engine.cancel(prediction)
        return web.json_response(prediction.build_body(self._engine.base_url))

    async def _list(self, request: web.Request) -> web.Response:
        after, before = (_parse_moment(request, name) for name in ("created_after", "created_before"))
        predictions = [] if request.query.get("source") == "web" else self._store.list_created_between(after, before)
        return paginate(
            request, self._engine.base_url, predictions, lambda prediction: prediction.id, self._build_entry
        )

    def _build_entry(self, prediction: SandboxPrediction) -> dict[str, object]:
        return prediction.build_list_entry(self._engine.base_url)

    def _find(self, request: web.Request) -> SandboxPrediction:
        prediction = self._store.get(request.match_info["id"])
        if prediction is None:
            raise make_not_found()
        return prediction


def _full_name(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"


def _parse_moment(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem(400, f"{name} must be an ISO 8601 date-time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# Streams.

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
