"""What one watch has told so far, and what there is to tell next. Pure: no network, no time."""

from collections.abc import Iterator

from bot.backends.replicate.progress import parse_percent
from bot.backends.replicate.schema import ReplicatePrediction
from bot.backends.replicate.snapshots import extract_text, make_snapshot
from bot.backends.replicate.transcript import StreamedText
from bot.backends.sse import ServerSentEvent
from bot.core.models import Model, OutputKind
from bot.core.predictions import PredictionState, RunEnded, RunEvent, RunPending, RunProgress, RunStarted, TextDelta


class RunEvents:
    """Turns stream events and whole predictions into events, each thing once."""

    def __init__(self, model: Model) -> None:
        self.has_ended = False
        self._model = model
        self._has_started = False
        self._is_starting = False
        self._percent = -1
        self._transcript = StreamedText(model.strip_prefixes)

    def rewind(self) -> None:
        """The stream begins again at its first event."""
        self._transcript.rewind()

    def read_stream_event(self, event: ServerSentEvent) -> Iterator[RunEvent]:
        """What a stream's event tells. Its pictures are left alone: the final GET has them, with the metrics."""
        if event.event == "output":
            yield from self.mark_started()
            if self._model.output is not OutputKind.PICTURES:
                yield from self._write(self._transcript.add_token(event.data))
        elif event.event == "logs":
            yield from self.mark_started()
            yield from self._progress(event.data)

    def read_prediction(self, prediction: ReplicatePrediction) -> Iterator[RunEvent]:
        """What a whole prediction tells, up to its end."""
        is_final = prediction.state.is_final
        if prediction.started_at or prediction.state in (PredictionState.PROCESSING, PredictionState.SUCCEEDED):
            yield from self.mark_started(_compute_start_seconds(prediction))
        elif prediction.state is PredictionState.STARTING and not (self._has_started or self._is_starting):
            self._is_starting = True
            yield RunPending()
        yield from self._progress(prediction.logs)
        if self._model.output is not OutputKind.PICTURES:
            yield from self._write(self._transcript.add_whole_text(extract_text(prediction.output), is_final=is_final))
        if is_final and not self.has_ended:
            self.has_ended = True
            yield RunEnded(make_snapshot(prediction, self._model))

    def mark_started(self, after_seconds: float | None = None) -> Iterator[RunEvent]:
        """It runs, since so many seconds after it was created if that is known."""
        if not self._has_started:
            self._has_started = True
            yield RunStarted(after_seconds)

    def _progress(self, logs: str) -> Iterator[RunEvent]:
        # Several bars may follow one another (refiner, decoder); people should not see it fall.
        percent = parse_percent(logs)
        if percent is not None and percent > self._percent:
            self._percent = percent
            yield RunProgress(percent)

    def _write(self, text: str) -> Iterator[RunEvent]:
        if text:
            yield TextDelta(text)


def _compute_start_seconds(prediction: ReplicatePrediction) -> float | None:
    """By Replicate's own clock at both ends."""
    if prediction.started_at is None or prediction.created_at is None:
        return None
    return max(0.0, (prediction.started_at - prediction.created_at).total_seconds())
