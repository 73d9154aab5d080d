"""Reads runs as ComfyUI's history writes them: the state, the times, the files of all nodes, and texts.

Any JSON is tolerated: a field of an unexpected type counts as missing.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import urlencode

from bot.core.backend import PredictionState, RunMetrics, RunSnapshot
from bot.core.json import JSON, as_object, get_object, get_objects, get_text
from bot.core.text import mend_text

log = logging.getLogger(__name__)

# Saved files are the result; a workflow that only previews has files of another kind.
_FILE_KINDS = ("output", "temp", "input")

# Keys of nodes that list files. The kind of a file is decided by its bytes: SaveVideo puts videos under `images`.
_FILE_KEYS = ("images", "gifs", "audio", "video", "videos", "3d", "files")

_END_MESSAGES = {
    "execution_success": PredictionState.SUCCEEDED,
    "execution_error": PredictionState.FAILED,
    "execution_interrupted": PredictionState.CANCELED,
}


@dataclass(frozen=True, slots=True)
class ComfyUIFile:
    """A file that a node saved, as `/view` wants the file named."""

    filename: str
    subfolder: str
    kind: str

    @property
    def query(self) -> str:
        return urlencode({"filename": self.filename, "subfolder": self.subfolder, "type": self.kind})


@dataclass(frozen=True, slots=True)
class ComfyUIRun:
    """An ended run. `error` is `class of the exception: message`."""

    id: str
    state: PredictionState
    files: tuple[ComfyUIFile, ...] = ()
    text: str = ""
    error: str = ""
    started_at: datetime | None = None
    completed_at: datetime | None = None

    def make_snapshot(self, files: tuple[str | bytes, ...], *, is_text: bool) -> RunSnapshot:
        """Return the run as the trunk sees runs, with the addresses or the bytes of its files."""
        seconds = None
        if self.started_at is not None and self.completed_at is not None:
            seconds = max(0.0, (self.completed_at - self.started_at).total_seconds())
        return RunSnapshot(
            backend_id=self.id,
            state=self.state,
            files=() if is_text else files,
            text=self.text if is_text or not files else "",
            error=self.error,
            metrics=RunMetrics(predict_seconds=seconds),
            started_at=self.started_at,
            completed_at=self.completed_at,
        )


def read_run(prompt_id: str, entry: Mapping[str, JSON]) -> ComfyUIRun:
    """Return the run of an entry in the history. Entries stand there only after the end."""
    status = get_object(dict(entry), "status")
    state, facts = _read_end(status)
    outputs = get_object(dict(entry), "outputs")
    return ComfyUIRun(
        prompt_id,
        state,
        files=tuple(_choose_files(outputs)),
        text="\n".join(_iterate_texts(outputs)),
        error=_describe_error(facts) if state is PredictionState.FAILED else "",
        started_at=_find_time(status, "execution_start"),
        completed_at=_parse_time(facts.get("timestamp")),
    )


def _read_end(status: Mapping[str, JSON]) -> tuple[PredictionState, dict[str, JSON]]:
    """Return the state and the facts of the last message. Failed and interrupted runs differ in that message alone."""
    for kind, facts in reversed(list(_iterate_messages(status))):
        if kind in _END_MESSAGES:
            return _END_MESSAGES[kind], facts
    # Without a status, as after runs of old servers, the entry itself says that the run is over.
    is_failed = get_text(dict(status), "status_str") == "error" or status.get("completed") is False
    return (PredictionState.FAILED if is_failed else PredictionState.SUCCEEDED), {}


def _iterate_messages(status: Mapping[str, JSON]) -> Iterator[tuple[str, dict[str, JSON]]]:
    messages = status.get("messages")
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, list) and len(message) == 2 and isinstance(message[0], str):
            yield message[0], as_object(message[1])


def _find_time(status: Mapping[str, JSON], kind: str) -> datetime | None:
    return next(
        (_parse_time(facts.get("timestamp")) for name, facts in _iterate_messages(status) if name == kind), None
    )


def _parse_time(milliseconds: JSON) -> datetime | None:
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _describe_error(facts: Mapping[str, JSON]) -> str:
    kind, message = get_text(dict(facts), "exception_type"), get_text(dict(facts), "exception_message")
    return mend_text(f"{kind.rpartition('.')[2] or 'Error'}: {message.strip()}")


def _choose_files(outputs: Mapping[str, JSON]) -> list[ComfyUIFile]:
    files = list(dict.fromkeys(_iterate_files(outputs)))
    for kind in _FILE_KINDS:
        if chosen := [file for file in files if file.kind == kind]:
            return chosen
    return []


def _iterate_files(outputs: Mapping[str, JSON]) -> Iterator[ComfyUIFile]:
    for node in outputs.values():
        for key in _FILE_KEYS:
            for item in get_objects(node, key):
                file = ComfyUIFile(get_text(item, "filename"), get_text(item, "subfolder"), get_text(item, "type"))
                if file.filename and _stays_inside(file):
                    yield file
                elif file.filename:
                    log.warning("comfyui.file_refused", extra={"file": f"{file.subfolder}/{file.filename}"})


def _stays_inside(file: ComfyUIFile) -> bool:
    """Return whether a file lies in its folder: a custom node may name any file of the server's machine."""
    texts = (file.filename, file.subfolder)
    if file.kind not in _FILE_KINDS or any("\\" in text or "\0" in text or ":" in text for text in texts):
        return False
    paths = [PurePosixPath(text) for text in texts]
    return "/" not in file.filename and not any(path.is_absolute() or ".." in path.parts for path in paths)


def _iterate_texts(outputs: Mapping[str, JSON]) -> Iterator[str]:
    for node in outputs.values():
        texts = as_object(node).get("text")
        for text in texts if isinstance(texts, list) else [texts]:
            if isinstance(text, str) and text.strip():
                yield mend_text(text)
