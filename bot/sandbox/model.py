"""A model of the sandbox: a real model's id, inputs and output kind, performed by a function of this package."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, ParamSpec, TypeVar

from bot.sandbox.clock import SandboxClock
from bot.sandbox.fields import InputField
from bot.sandbox.input_files import InputFiles
from bot.sandbox.prediction_store import SandboxPrediction

P = ParamSpec("P")
T = TypeVar("T")

_CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "tar": "application/x-tar"}


@dataclass(frozen=True)
class OutputFile:
    content: bytes
    extension: str

    @property
    def content_type(self) -> str:
        return _CONTENT_TYPES[self.extension]


@dataclass
class SandboxRun:
    """One run of a model: input, files, log, output and time. `speed` multiplies times; 0 is as fast as possible."""

    prediction: SandboxPrediction
    clock: SandboxClock
    speed: float
    worker: Executor
    input_files: InputFiles
    on_text: Callable[[str], None]
    on_log: Callable[[str], None]
    files: list[OutputFile] = field(default_factory=list)
    text: str | None = None

    @property
    def input(self) -> Mapping[str, Any]:
        return self.prediction.input

    def log(self, line: str) -> None:
        self.on_log(line + "\n")

    def set_metric(self, name: str, value: float) -> None:
        self.prediction.metrics[name] = value

    async def pause(self, seconds: float) -> None:
        """Spend model time, in seconds."""
        await (self.clock.sleep(seconds * self.speed) if self.speed else asyncio.sleep(0))

    async def run_steps(self, count: int, seconds: float) -> None:
        """Spend model time in `count` steps, with tqdm's progress bar in the log."""
        self.log(f"  0%|          | 0/{count} [00:00<?, ?it/s]")
        for step in range(1, count + 1):
            await self.pause(seconds / count)
            spent, left = seconds * step / count, seconds * (count - step) / count
            clocks = f"[00:{int(spent):02}<00:{int(left):02}, {count / seconds:5.2f}it/s]"
            self.log(f"{step * 100 // count:3}%|{_draw_bar(step / count)}| {step}/{count} {clocks}")

    async def run_in_worker(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in the worker thread: the server goes on answering."""
        return await asyncio.get_running_loop().run_in_executor(self.worker, lambda: work(*args, **kwargs))

    async def read_file(self, name: str) -> bytes | None:
        """Return the bytes of a file input, or None without the input."""
        value = self.input.get(name)
        return self.input_files.read(value) if value else None

    def stream_text(self, token: str) -> None:
        """Stream a piece of text."""
        self.on_text(token)

    def add_file(self, content: bytes, extension: str) -> None:
        """Add an output file."""
        self.files.append(OutputFile(content, extension))


def _draw_bar(share: float) -> str:
    return ("█" * int(share * 10)).ljust(10)


Performance = Callable[[SandboxRun], Awaitable[None]]

_URI = {"type": "string", "format": "uri"}


class SandboxOutputKind(Enum):
    FILE = auto()
    FILES = auto()
    TEXT = auto()
    TEXT_STREAM = auto()
    TRAINING = auto()

    @property
    def is_files(self) -> bool:
        return self in (SandboxOutputKind.FILE, SandboxOutputKind.FILES)


_OUTPUT_SCHEMAS: dict[SandboxOutputKind, dict[str, Any]] = {
    SandboxOutputKind.FILE: _URI,
    SandboxOutputKind.FILES: {"type": "array", "items": _URI},
    SandboxOutputKind.TEXT: {"type": "string"},
    SandboxOutputKind.TEXT_STREAM: {
        "type": "array",
        "items": {"type": "string"},
        "x-cog-array-type": "iterator",
        "x-cog-array-display": "concatenate",
    },
}
_TRAINING_OUTPUT = {
    "type": "object",
    "title": "TrainingOutput",
    "properties": {"version": {"type": "string"}, "weights": _URI},
}


@dataclass(frozen=True)
class SandboxModel:
    """`nsfw_error` is the real model's text for a flagged run; models without such a text use E005.

    `training_fields` are the inputs of a training; a model without fields cannot be trained.
    """

    owner: str
    name: str
    version: str
    description: str
    fields: tuple[InputField, ...]
    output: SandboxOutputKind
    perform: Performance
    is_official: bool = False
    nsfw_error: str | None = None
    training_fields: tuple[InputField, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def shown_version(self) -> str:
        """Return the `version` in a prediction's JSON: official models hide the id."""
        return "hidden" if self.is_official else self.version

    def openapi_schema(self) -> dict[str, Any]:
        """Return the schema in GET /v1/models/…: Input, Output and one schema per enum."""
        enums = {field.name: field.build_enum_schema() for field in self.fields if field.choices}
        schemas = {
            "Input": _build_object_schema("Input", self.fields),
            "Output": {"title": "Output", **_OUTPUT_SCHEMAS[self.output]},
            **enums,
        }
        if self.training_fields:
            schemas |= {
                "TrainingInput": _build_object_schema("TrainingInput", self.training_fields),
                "TrainingOutput": _TRAINING_OUTPUT,
            }
        return {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "paths": {},
            "components": {"schemas": schemas},
        }


def _build_object_schema(title: str, fields: tuple[InputField, ...]) -> dict[str, Any]:
    properties = {field.name: field.build_schema(order) for order, field in enumerate(fields)}
    schema: dict[str, Any] = {"type": "object", "title": title, "properties": properties}
    if required := [field.name for field in fields if field.required]:
        schema["required"] = required
    return schema
