"""What one watch has told so far, and what there is to tell next. Pure: no network, no time."""

from collections.abc import Iterator

from bot.backends.replicate.progress import percent_in
from bot.backends.replicate.schema import Prediction
from bot.backends.replicate.snapshots import snapshot_from, text_in
from bot.backends.replicate.transcript import Transcript
from bot.backends.sse import ServerSentEvent
from bot.core.models import Model, OutputKind
from bot.core.predictions import Ended, Event, PredictionState, Progressed, Started, Starting, Wrote


class Story:
    """Turns stream events and whole predictions into events, each thing once."""

    def __init__(self, model: Model) -> None:
        self.has_ended = False
        self._model = model
        self._has_started = False
        self._is_starting = False
        self._percent = -1
        self._transcript = Transcript(model.strip_prefixes)

    def rewind(self) -> None:
        """The stream begins again at its first event."""
        self._transcript.rewind()

    def hear(self, event: ServerSentEvent) -> Iterator[Event]:
        """What a stream's event tells. Its pictures are left alone: the final GET has them, with the metrics."""
        if event.event == "output":
            yield from self.started()
            if self._model.output is not OutputKind.PICTURES:
                yield from self._write(self._transcript.hear(event.data))
        elif event.event == "logs":
            yield from self.started()
            yield from self._progress(event.data)

    def read(self, prediction: Prediction) -> Iterator[Event]:
        """What a whole prediction tells, up to its end."""
        is_final = prediction.state.is_final
        if prediction.started_at or prediction.state in (PredictionState.PROCESSING, PredictionState.SUCCEEDED):
            yield from self.started(_seconds_to_start(prediction))
        elif prediction.state is PredictionState.STARTING and not (self._has_started or self._is_starting):
            self._is_starting = True
            yield Starting()
        yield from self._progress(prediction.logs)
        if self._model.output is not OutputKind.PICTURES:
            yield from self._write(self._transcript.read(text_in(prediction.output), is_final=is_final))
        if is_final and not self.has_ended:
            self.has_ended = True
            yield Ended(snapshot_from(prediction, self._model))

    def started(self, after_seconds: float | None = None) -> Iterator[Event]:
        """It runs, since so many seconds after it was created if that is known."""
        if not self._has_started:
            self._has_started = True
            yield Started(after_seconds)

    def _progress(self, logs: str) -> Iterator[Event]:
        # Several bars may follow one another (refiner, decoder); people should not see it fall.
        percent = percent_in(logs)
        if percent is not None and percent > self._percent:
            self._percent = percent
            yield Progressed(percent)

    def _write(self, text: str) -> Iterator[Event]:
        if text:
            yield Wrote(text)


def _seconds_to_start(prediction: Prediction) -> float | None:
    """By Replicate's own clock at both ends."""
    if prediction.started_at is None or prediction.created_at is None:
        return None
    return max(0.0, (prediction.started_at - prediction.created_at).total_seconds())
