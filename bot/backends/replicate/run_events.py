"""How far a model is, read from the bar that tqdm draws into its logs."""

import re
from collections.abc import Iterator, Sequence

from bot.backends.replicate.outputs import ReplicatePrediction, extract_text, make_snapshot, strip_prefix
from bot.backends.sse import ServerSentEvent
from bot.core.backend import PredictionState, RunEnded, RunEvent, RunPending, RunProgress, RunStarted, TextDelta
from bot.core.models import Model, OutputKind

_BAR = re.compile(r"^\s*(\d+)%\s*\|.+?\|\s*\d+/\d+")
_LINE_END = re.compile(r"[\r\n]+")
_TAIL_CHARACTERS = 8_192


def parse_percent(logs: str) -> int | None:
    """The newest bar's percentage, 0 to 100; None without a bar.

    tqdm redraws its line with \\r, which newer Cog servers keep, so a "line" ends there too. Only the end of long
    logs is read.
    """
    lines = _LINE_END.split(logs[-_TAIL_CHARACTERS:])
    if len(logs) > _TAIL_CHARACTERS:
        lines = lines[1:]  # its beginning is cut off: "100%" may read "0%"
    for line in reversed(lines):
        if bar := _BAR.match(line):
            return min(int(bar[1]), 100)
    return None


# MERGED The text of one watch, put together from a stream that may begin again and from whole texts.


class StreamedText:
    """Gives each word once, in order. What it gave can only be extended: nobody can unsay a word.

    Two sources feed it: tokens of a stream (`hear`) and the whole text so far, from a GET (`read`). Text that
    contradicts what was given is held back; the final snapshot then has the last word.
    """

    def __init__(self, prefixes: Sequence[str] = ()) -> None:
        self._prefixes = prefixes
        self._pieces: list[str] = []
        self._length = 0
        self._stream_position = 0
        self._is_stream_consistent = True
        self._may_be_prefix = bool(prefixes)

    def rewind(self) -> None:
        """The stream begins again at the first word."""
        self._stream_position, self._is_stream_consistent = 0, True

    def add_token(self, token: str) -> str:
        """What is new in the stream's next token."""
        start, self._stream_position = self._stream_position, self._stream_position + len(token)
        if not self._is_stream_consistent:
            return ""
        known = self._text()[start : self._stream_position] if start < self._length else ""
        if not token.startswith(known):
            self._is_stream_consistent = False
            return ""
        return self._add(token[len(known) :])

    def add_whole_text(self, whole: str, *, is_final: bool = False) -> str:
        """What is new in a whole text."""
        known = self._text()
        new = self._add(whole[len(known) :]) if whole.startswith(known) else ""
        return new + self._release_head() if is_final else new

    def _text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def _add(self, text: str) -> str:
        if text:
            self._pieces.append(text)
            self._length += len(text)
        if not self._may_be_prefix:
            return text
        # The beginning may still grow into a prefix that is to be left out.
        head = self._text()
        may_grow = any(prefix.startswith(head) and prefix != head for prefix in self._prefixes)
        return "" if may_grow else self._release_head()

    def _release_head(self) -> str:
        if not self._may_be_prefix:
            return ""
        self._may_be_prefix = False
        return strip_prefix(self._text(), self._prefixes)


# MERGED What one watch has told so far, and what there is to tell next. Pure: no network, no time.


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
