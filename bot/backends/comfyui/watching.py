"""Follows one run: by the WebSocket, with looks at history and queue before, after, and whenever the socket is silent.

The server replays nothing to a new socket, and sockets fall silent after hours: the history alone says how a run ended.
"""

import json
import logging
import struct
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

from bot.backends.comfyui.client import ComfyUIClient, QueuePlace
from bot.backends.comfyui.errors import make_gone_error
from bot.backends.comfyui.outputs import ComfyUIRun
from bot.core.backend import PredictionState, RunEvent, RunPending, RunPreview, RunProgress, RunStarted
from bot.core.clock import Clock
from bot.core.errors import BackendDown
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.workflows import Workflow, get_class

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""The time without a frame after which history and queue are read."""

# The history has a run a moment after the socket says its end.
_WAITS_FOR_HISTORY_SECONDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)

# After a restart of the bot its repeated cancel may be on its way.
_SECONDS_BEFORE_GONE = 0.5

_END_FRAMES = frozenset(["execution_success", "execution_error", "execution_interrupted"])
_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4
_PREVIEW_TYPES = {1: "image/jpeg", 2: "image/png"}

# A sampler takes most of the time of a run; loading, encoding and saving are one step each.
_STEP_WEIGHT = 1.0
_SAMPLER_WEIGHT = 20.0


@dataclass(slots=True)
class ProgressMeter:
    """The share of a workflow that is done, from the frames of its nodes. Nodes that sample weigh more."""

    weights: Mapping[str, float]
    shares: dict[str, float] = field(default_factory=dict)
    current: str = ""
    percent: int = -1

    @classmethod
    def for_workflow(cls, workflow: Workflow) -> "ProgressMeter":
        """Return a meter at zero."""
        return cls(
            {
                node: _SAMPLER_WEIGHT if "sampler" in get_class(workflow, node).lower() else _STEP_WEIGHT
                for node in workflow
            }
        )

    def begin(self, node: str) -> None:
        """Note that a node begins: the node before is done."""
        if self.current:
            self.shares[self.current] = 1.0
        self.current = node

    def finish(self, nodes: JSON) -> None:
        """Note nodes that the server took from its cache."""
        for node in nodes if isinstance(nodes, list) else []:
            self.shares[str(node)] = 1.0

    def advance(self, node: str, value: JSON, maximum: JSON) -> None:
        """Note the steps of one node."""
        if isinstance(value, int | float) and isinstance(maximum, int | float) and maximum > 0:
            self.shares[node] = min(max(value / maximum, 0.0), 1.0)

    def measure(self) -> int | None:
        """Return the percent done, None unless it has grown."""
        done = sum(weight * self.shares.get(node, 0.0) for node, weight in self.weights.items())
        percent = min(99, int(100 * done / sum(self.weights.values()))) if self.weights else 0
        if percent <= self.percent:
            return None
        self.percent = percent
        return percent


class ComfyUIWatcher:
    """Watches one run. `is_cancelled` tells whether the bot asked for its end: a waiting run then leaves no trace."""

    def __init__(
        self,
        client: ComfyUIClient,
        workflow: Workflow,
        prompt_id: str,
        *,
        is_cancelled: Callable[[], bool],
        clock: Clock,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._client = client
        self._id = prompt_id
        self._is_cancelled = is_cancelled
        self._clock = clock
        self._look_seconds = look_seconds
        self._meter = ProgressMeter.for_workflow(workflow)
        self._has_started = False
        self._position = -1
        self.ended: ComfyUIRun | None = None

    async def watch(self) -> AsyncGenerator[RunEvent, None]:
        """Yield events until `ended` is set. Raise `PredictionGone` for a run that the server forgot."""
        while True:
            for event in await self._look():
                yield event
            if self.ended is not None:
                return
            try:
                async with self._client.open_socket(self._id) as socket:
                    # Announce the feature first: then previews name their run.
                    await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
                    for event in await self._look():
                        yield event
                    while self.ended is None:
                        events, is_open = await self._receive(socket)
                        for event in events:
                            yield event
                        if not is_open:
                            break
            except (BackendDown, ConnectionError) as error:
                # A proxy may refuse sockets: the looks alone find the end.
                log.info("comfyui.no_socket", extra={"run": self._id, "reason": str(error)})
            if self.ended is None:
                await self._clock.sleep(self._look_seconds)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> tuple[list[RunEvent], bool]:
        """Return the events of one frame, or of a look after a silence; and whether the socket is open."""
        try:
            frame = await socket.receive(self._look_seconds)
        except TimeoutError:
            return await self._look(), True
        if frame.type is aiohttp.WSMsgType.BINARY:
            return self._read_preview(frame.data), True
        if frame.type is not aiohttp.WSMsgType.TEXT:
            return await self._look(), False
        events, is_end = self._read_frame(frame.data)
        if is_end:
            events += await self._look_for_end()
        return events, True

    def _read_frame(self, text: str) -> tuple[list[RunEvent], bool]:
        """Return the events of a text frame, and whether the run is over."""
        try:
            frame = as_object(json.loads(text))
        except (ValueError, RecursionError):
            return [], False
        kind, data = get_text(frame, "type"), get_object(frame, "data")
        if get_text(data, "prompt_id") != self._id:
            return [], False
        if kind in _END_FRAMES:
            return [], True
        events = self._note_start()
        if kind == "executing":
            if data.get("node") is None:
                return events, True
            self._meter.begin(str(data["node"]))
        elif kind == "execution_cached":
            self._meter.finish(data.get("nodes"))
        elif kind == "progress":
            self._meter.advance(get_text(data, "node"), data.get("value"), data.get("max"))
        percent = self._meter.measure()
        return [*events, *([RunProgress(percent)] if percent else [])], False

    def _read_preview(self, data: bytes) -> list[RunEvent]:
        """Return the preview in a binary frame, if any."""
        try:
            kind, number = struct.unpack_from(">II", data)
        except struct.error:
            return []
        if kind == _PREVIEW and number in _PREVIEW_TYPES:
            return [*self._note_start(), RunPreview(data[8:], _PREVIEW_TYPES[number])]
        if kind != _PREVIEW_WITH_METADATA or number > len(data):
            return []
        try:
            metadata = as_object(json.loads(data[8 : 8 + number]))
        except ValueError:
            return []
        mime = get_text(metadata, "image_type")
        if get_text(metadata, "prompt_id") != self._id or mime not in _PREVIEW_TYPES.values():
            return []
        return [*self._note_start(), RunPreview(data[8 + number :], mime)]

    async def _look_for_end(self) -> list[RunEvent]:
        events: list[RunEvent] = []
        for wait in _WAITS_FOR_HISTORY_SECONDS:
            await self._clock.sleep(wait)
            events += await self._look()
            if self.ended is not None:
                break
        return events

    async def _look(self) -> list[RunEvent]:
        """Read history and queue. Set `ended`, or return what is new about a waiting or running run."""
        found = await self._client.find_run(self._id)
        if found is None and not self._is_cancelled():
            await self._clock.sleep(_SECONDS_BEFORE_GONE)
            found = await self._client.find_run(self._id)
        if found is None:
            if not self._is_cancelled():
                raise make_gone_error()
            found = ComfyUIRun(self._id, PredictionState.CANCELED)
        if isinstance(found, ComfyUIRun):
            self.ended = found
            return []
        return self._note_place(found)

    def _note_place(self, place: QueuePlace) -> list[RunEvent]:
        if not place.position:
            return self._note_start()
        if place.position == self._position:
            return []
        self._position = place.position
        return [RunPending(place.position)]

    def _note_start(self) -> list[RunEvent]:
        if self._has_started:
            return []
        self._has_started = True
        return [RunStarted()]
