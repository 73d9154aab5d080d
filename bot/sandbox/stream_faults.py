"""What a fault makes of one reading of a stream: outputs lost, doubled, or swapped in pairs."""

from collections.abc import Iterable, Iterator

from bot.sandbox.events import SandboxStreamEvent
from bot.sandbox.faults import FaultKind
from bot.sandbox.predictions import SandboxPrediction

_LOSE_EACH = 3


class StreamFaults:
    """Sees the events of one connection in order. Only `output` events are touched; the prediction stays whole."""

    def __init__(self, prediction: SandboxPrediction) -> None:
        self._prediction = prediction
        self._outputs_seen = 0
        self._held: SandboxStreamEvent | None = None

    def apply(self, events: Iterable[SandboxStreamEvent]) -> list[SandboxStreamEvent]:
        """What goes out in the place of `events`."""
        return [sent for event in events for sent in self._sent(event)]

    def _sent(self, event: SandboxStreamEvent) -> Iterator[SandboxStreamEvent]:
        if self._prediction.has_fault(FaultKind.STREAM_REORDERED):
            yield from self._swapped(event)
        elif event.name != "output":
            yield event
        elif self._prediction.has_fault(FaultKind.STREAM_DOUBLED):
            yield from (event, event)
        elif not self._is_lost():
            yield event

    def _is_lost(self) -> bool:
        self._outputs_seen += 1
        return self._prediction.has_fault(FaultKind.STREAM_LOST) and self._outputs_seen % _LOSE_EACH == 0

    def _swapped(self, event: SandboxStreamEvent) -> Iterator[SandboxStreamEvent]:
        """Of two outputs the second comes first; one that has no second comes before the end."""
        held, self._held = self._held, None
        if event.name == "output" and held is None:
            self._held = event
        elif event.name == "output" and held:
            yield from (event, held)
        else:
            yield from (held, event) if held else (event,)
