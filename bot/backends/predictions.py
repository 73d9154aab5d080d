"""Reads predictions as Cog and Replicate write them (replicate.com/docs/reference/http), and tells what is new.

`RunEvents` turns stream events and predictions of one run into the bot's events, without network and time.

Any JSON is tolerated: a field of an unexpected type counts as missing.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.backends.http import ServerSentEvent
from bot.backends.model_texts import extract_text, read_passages, strip_prefix
from bot.core.backend import (
    PredictionState,
    RunEnded,
    RunEvent,
    RunMetrics,
    RunPending,
    RunPreviewFile,
    RunProgress,
    RunSnapshot,
    RunStarted,
    TextDelta,
)
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.models import Metric, Model, OutputKind, Task
from bot.core.text import mend_text
from bot.core.transcripts import Passage, format_transcript

# Some replies carry nanoseconds: 2023-10-29T11:19:59.558752983Z
_NANOSECONDS = re.compile(r"(\.\d{6})\d+")

_STATES = {
    **{state.value: state for state in PredictionState},
    "queued": PredictionState.STARTING,
    "booting": PredictionState.STARTING,
    "running": PredictionState.PROCESSING,
    "successful": PredictionState.SUCCEEDED,
    "cancelled": PredictionState.CANCELED,
}


@dataclass(frozen=True, slots=True)
class CogPrediction:
    """The fields that the bot uses. A reply may lack all of them but `id`."""

    id: str
    state: PredictionState
    model: str = ""
    version: str = ""
    """64 hex digits, `hidden`, or `dp-…` for models that Replicate keeps current."""
    input: Mapping[str, JSON] = field(default_factory=dict)
    output: JSON = None
    error: str = ""
    logs: str = ""
    metrics: Mapping[str, JSON] = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    is_data_removed: bool = False
    stream_url: str = ""
    deployment: str = ""
    """The deployment of the run, as `owner/name` or the name alone."""


def parse_prediction(body: JSON) -> CogPrediction:
    """Return a prediction from a reply's body. Raise `ValueError` for a body without a usable id."""
    prediction_id = get_text(body, "id")
    if not prediction_id or not prediction_id.isascii() or not prediction_id.isprintable():
        raise ValueError("no prediction")
    fields = as_object(body)
    return CogPrediction(
        id=prediction_id,
        state=_parse_state(fields),
        model=get_text(body, "model"),
        version=get_text(body, "version"),
        input=get_object(body, "input"),
        output=fields.get("output"),
        error=_describe_error(fields.get("error")),
        logs=get_text(body, "logs"),
        metrics=get_object(body, "metrics"),
        created_at=parse_time(fields.get("created_at")),
        started_at=parse_time(fields.get("started_at")),
        completed_at=parse_time(fields.get("completed_at")),
        is_data_removed=fields.get("data_removed") is True,
        stream_url=get_text(get_object(body, "urls"), "stream"),
        deployment=get_text(body, "deployment"),
    )


def parse_time(value: JSON) -> datetime | None:
    """Return an RFC 3339 time, aware; None for any other value."""
    try:
        time = datetime.fromisoformat(_NANOSECONDS.sub(r"\1", value)) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time


def _parse_state(fields: dict[str, JSON]) -> PredictionState:
    return _STATES.get(get_text(fields, "status").lower()) or _guess_state(fields)


def _guess_state(fields: Mapping[str, JSON]) -> PredictionState:
    """Return the state for an unknown status. Only a time of completion proves that the run has ended."""
    if not fields.get("completed_at"):
        return PredictionState.PROCESSING if fields.get("started_at") else PredictionState.STARTING
    is_good = fields.get("output") is not None and not fields.get("error")
    return PredictionState.SUCCEEDED if is_good else PredictionState.FAILED


def _describe_error(value: JSON) -> str:
    # A model may fail with an object: the object's text is better than no reason.
    return "" if value is None else mend_text(value if isinstance(value, str) else str(value))


_MAX_PLAUSIBLE = 1e12
# Each model chooses the names of its metrics; these other names were seen in published predictions.
_OTHER_NAMES = {
    Metric.IMAGE_OUTPUT_COUNT: "image_count",
    Metric.TOKEN_INPUT_COUNT: "input_token_count",
    Metric.TOKEN_OUTPUT_COUNT: "output_token_count",
}


def make_snapshot(prediction: CogPrediction, model: Model) -> RunSnapshot:
    """Return the run as the trunk sees runs: files where the model gives files, else text without its own prefix."""
    files = () if model.output.is_text else tuple(find_file_urls(prediction.output))
    # A training's output is an object: the new version, and an address of the weights that soon ends.
    output = get_text(prediction.output, "version") if model.task is Task.TRAIN else prediction.output
    passages = read_passages(prediction.output) if model.task is Task.TRANSCRIBE else ()
    return RunSnapshot(
        backend_id=prediction.id,
        state=prediction.state,
        files=files,
        text="" if files else _read_text(output, passages, model),
        error=prediction.error,
        logs=prediction.logs,
        metrics=parse_metrics(prediction.metrics),
        created_at=prediction.created_at,
        started_at=prediction.started_at,
        completed_at=prediction.completed_at,
        is_data_removed=prediction.is_data_removed,
        passages=passages,
    )


def _read_text(output: JSON, passages: Sequence[Passage], model: Model) -> str:
    """Return the answer in an output; of a model run with its own inputs the whole JSON, as a block for readers."""
    is_structure = isinstance(output, dict) or (
        isinstance(output, list) and not all(isinstance(item, str) for item in output)
    )
    if model.task is Task.RUN and is_structure:
        # A fence inside a string would end the block.
        text = json.dumps(output, ensure_ascii=False, indent=2).replace("```", "`\\u0060`")
        return f"```json\n{mend_text(text)}\n```"
    # Speakers stand in the passages alone, and a list of words comes without the whole text.
    has_speakers = any(passage.speaker for passage in passages)
    text = format_transcript(passages) if has_speakers else extract_text(output)
    return strip_prefix(text, model.strip_prefixes)


def find_file_urls(output: JSON) -> Iterator[str]:
    """Yield every address in an output, in order, at any depth of lists and objects."""
    if isinstance(output, str):
        if output.startswith(("https:", "http:", "data:")):
            yield output
    elif isinstance(output, list):
        for item in output:
            yield from find_file_urls(item)
    elif isinstance(output, dict):
        for item in output.values():
            yield from find_file_urls(item)


def parse_metrics(fields: Mapping[str, JSON]) -> RunMetrics:
    """Return the metered amounts; None for an amount that is missing or no plausible number."""
    return RunMetrics(
        predict_seconds=_find_number(fields, "predict_time"),
        total_seconds=_find_number(fields, "total_time"),
        amounts={
            metric: amount
            for metric in Metric
            if metric is not Metric.PREDICT_TIME
            and (amount := _find_number(fields, metric, _OTHER_NAMES.get(metric, metric))) is not None
        },
    )


def _find_number(fields: Mapping[str, JSON], *names: str) -> float | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_PLAUSIBLE:
            return float(value)
    return None


_PICTURE_NAME = re.compile(r"^https?:.*\.(?:png|jpe?g|webp)$", re.IGNORECASE | re.DOTALL)
_BAR = re.compile(r"^\s*(\d+)%\s*\|.+?\|\s*\d+/\d+")
_LINE_END = re.compile(r"[\r\n]+")
_TAIL_CHARACTERS = 8_192


def parse_percent(logs: str) -> int | None:
    """Return the percentage of the newest tqdm bar in logs, 0 to 100; None without a bar."""
    # tqdm redraws its line with \r, which Cog servers since 0.17 keep.
    lines = _LINE_END.split(logs[-_TAIL_CHARACTERS:])
    if len(logs) > _TAIL_CHARACTERS:
        lines = lines[1:]  # the first line may be cut: "100%" would read "0%"
    for line in reversed(lines):
        if bar := _BAR.match(line):
            return min(int(bar[1]), 100)
    return None


class StreamedText:
    """The text of one watch, from a stream that may restart and from whole texts of GETs; returns each piece once.

    Returned text can only be extended, since messages show the text already. Text that contradicts returned text is
    held back: the final snapshot then replaces the whole text.
    """

    def __init__(self, prefixes: Sequence[str] = ()) -> None:
        self._prefixes = prefixes
        self._pieces: list[str] = []
        self._length = 0
        self._stream_position = 0
        self._is_stream_consistent = True
        self._may_be_prefix = bool(prefixes)

    def rewind(self) -> None:
        """Expect the stream to restart at its first token."""
        self._stream_position, self._is_stream_consistent = 0, True

    def add_token(self, token: str) -> str:
        """Return the new part of the stream's next token."""
        start, self._stream_position = self._stream_position, self._stream_position + len(token)
        if not self._is_stream_consistent:
            return ""
        known = self._text()[start : self._stream_position] if start < self._length else ""
        if not token.startswith(known):
            self._is_stream_consistent = False
            return ""
        return self._add(token[len(known) :])

    def add_whole_text(self, whole: str, *, is_final: bool = False) -> str:
        """Return the new part of a whole text."""
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
        # Hold the beginning back while a prefix that will be removed may still grow.
        head = self._text()
        may_grow = any(prefix.startswith(head) and prefix != head for prefix in self._prefixes)
        return "" if may_grow else self._release_head()

    def _release_head(self) -> str:
        if not self._may_be_prefix:
            return ""
        self._may_be_prefix = False
        return strip_prefix(self._text(), self._prefixes)


class RunEvents:
    """The events of one watch: remembers the events told so far, and yields the new ones."""

    def __init__(self, model: Model) -> None:
        self.has_ended = False
        self._model = model
        self._has_started = False
        self._is_starting = False
        self._percent = -1
        self._shown_url = ""
        self._transcript = StreamedText(model.strip_prefixes)
        # A transcript or a training is an object: the words are found in the whole object alone.
        self._has_growing_text = model.output.is_text and model.task not in (Task.TRANSCRIBE, Task.TRAIN)

    def rewind(self) -> None:
        """Expect the stream to restart at its first event."""
        self._transcript.rewind()

    def read_stream_event(self, event: ServerSentEvent) -> Iterator[RunEvent]:
        """Yield the news in a stream's event. Finished files are ignored: the final GET has files and metrics."""
        if event.event == "output":
            yield from self.mark_started()
            yield from self._preview(event.data)
            if self._has_growing_text:
                yield from self._write(self._transcript.add_token(event.data))
        elif event.event == "logs":
            yield from self.mark_started()
            yield from self._progress(event.data)

    def read_prediction(self, prediction: CogPrediction) -> Iterator[RunEvent]:
        """Yield the news in a prediction, up to `RunEnded`."""
        is_final = prediction.state.is_final
        if prediction.started_at or prediction.state in (PredictionState.PROCESSING, PredictionState.SUCCEEDED):
            yield from self.mark_started(_compute_start_seconds(prediction))
        elif prediction.state is PredictionState.STARTING and not (self._has_started or self._is_starting):
            self._is_starting = True
            yield RunPending()
        yield from self._progress(prediction.logs)
        if not is_final:
            yield from self._preview(prediction.output)
        if self._has_growing_text:
            yield from self._write(self._transcript.add_whole_text(extract_text(prediction.output), is_final=is_final))
        if is_final and not self.has_ended:
            self.has_ended = True
            yield RunEnded(make_snapshot(prediction, self._model))

    def mark_started(self, after_seconds: float | None = None) -> Iterator[RunEvent]:
        """Yield `RunStarted` once; `after_seconds` is the time from the create to the start, if known."""
        if not self._has_started:
            self._has_started = True
            yield RunStarted(after_seconds)

    def _preview(self, output: JSON) -> Iterator[RunEvent]:
        """Yield the newest picture among the outputs so far of a model that gives a video at the end."""
        if self._model.output is not OutputKind.VIDEO:
            return
        # The name decides: a finished video is not fetched for a look at its bytes.
        pictures = [url for url in find_file_urls(output) if _PICTURE_NAME.search(url.partition("?")[0])]
        if pictures and pictures[-1] != self._shown_url:
            self._shown_url = pictures[-1]
            yield RunPreviewFile(pictures[-1])

    def _progress(self, logs: str) -> Iterator[RunEvent]:
        # Several bars may follow one another (refiner, decoder): the shown progress must not fall.
        percent = parse_percent(logs)
        if percent is not None and percent > self._percent:
            self._percent = percent
            yield RunProgress(percent)

    def _write(self, text: str) -> Iterator[RunEvent]:
        if text:
            yield TextDelta(text)


def _compute_start_seconds(prediction: CogPrediction) -> float | None:
    """Return the seconds from create to start, both by Replicate's clock."""
    if prediction.started_at is None or prediction.created_at is None:
        return None
    return max(0.0, (prediction.started_at - prediction.created_at).total_seconds())
