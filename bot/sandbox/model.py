"""A model of the sandbox: a real model's id, inputs and output kind, performed by a function of this package.

The check of inputs answers with the messages of Replicate's validator: recorded messages, and further messages in the
same style.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

from bot.sandbox.clock import SandboxClock
from bot.sandbox.ids import derive_version_id
from bot.sandbox.input_files import InputFiles
from bot.sandbox.prediction_store import SandboxPrediction
from bot.sandbox.problems import InvalidField

FieldType = Literal["string", "integer", "number", "boolean", "file", "files", "messages"]
_URI = {"type": "string", "format": "uri"}
_ITEMS: Mapping[str, Mapping[str, Any]] = {"files": _URI, "messages": {"type": "object"}}
_JSON_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


@dataclass(frozen=True)
class InputField:
    """An input. A `file` is a string with `format: uri`, `files` an array of such
    strings, `messages` an array of objects."""

    name: str
    type: FieldType
    description: str = ""
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False

    def build_schema(self, order: int) -> dict[str, Any]:
        """Return the property in components.schemas.Input; an enum refers to a schema with the field's name."""
        if self.choices:
            schema: dict[str, Any] = {"allOf": [{"$ref": f"#/components/schemas/{self.name}"}]}
        elif self.type in _ITEMS:
            schema = {"type": "array", "items": _ITEMS[self.type], "title": self._build_title()}
        else:
            schema = {"type": "string" if self.type == "file" else self.type, "title": self._build_title()}
        known = {
            "format": "uri" if self.type == "file" else None,
            "minimum": None if self.minimum is None else float(self.minimum),
            "maximum": None if self.maximum is None else float(self.maximum),
            "default": self.default,
            "description": self.description,
            "x-order": order,
        }
        return schema | {key: value for key, value in known.items() if value is not None}

    def build_enum_schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices), "type": "string", "title": self.name, "description": "An enumeration."}

    def find_error(self, value: Any, where: str = "input") -> InvalidField | None:
        """Return the error of `value`, or None. `where` is the enclosing object: "" for the body."""
        error = self._check_type(value) or self._check_value(value)
        return InvalidField(error[0], f"{where}.{self.name}".lstrip("."), error[1]) if error else None

    def _check_type(self, value: Any) -> tuple[str, str] | None:
        expected = "array" if self.type in _ITEMS else "string" if self.type == "file" else self.type
        given = _JSON_TYPES.get(type(value), "null")
        if expected == given or (expected == "number" and given == "integer"):
            return None
        if expected == "integer" and isinstance(value, float) and value.is_integer():
            return None
        return "invalid_type", f"Invalid type. Expected: {expected}, given: {given}"

    def _check_value(self, value: Any) -> tuple[str, str] | None:
        if self.choices and value not in self.choices:
            allowed = ", ".join(f'"{choice}"' for choice in self.choices)
            return "enum", f"{self.name} must be one of the following: {allowed}"
        if self.minimum is not None and value < self.minimum:
            return "number_gte", f"Must be greater than or equal to {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return "number_lte", f"Must be less than or equal to {self.maximum:g}"
        addresses = {"file": [value], "files": value}.get(self.type, [])
        if any(not isinstance(address, str) or not urlsplit(address[:200]).scheme for address in addresses):
            return "format", "Does not match format 'uri'"
        return None

    def _build_title(self) -> str:
        return self.name.replace("_", " ").title()


def check_input(fields: Sequence[InputField], given: Mapping[str, Any], where: str = "input") -> list[InvalidField]:
    """Return all errors of an object, in the order of the fields."""
    faults = [field.find_error(given[field.name], where) for field in fields if field.name in given]
    missing = [field.name for field in fields if field.required and field.name not in given]
    return [InvalidField("required", where, f"{name} is required") for name in missing] + [
        fault for fault in faults if fault
    ]


def drop_unknown(fields: Sequence[InputField], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input without unknown keys: Replicate drops unknown keys silently."""
    names = {field.name for field in fields}
    return {name: value for name, value in given.items() if name in names}


P = ParamSpec("P")
T = TypeVar("T")

_CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "wav": "audio/wav",
    "webm": "video/webm",
    "tar": "application/x-tar",
}


@dataclass(frozen=True)
class OutputFile:
    content: bytes
    extension: str

    @property
    def content_type(self) -> str:
        return _CONTENT_TYPES[self.extension]


@dataclass
class SandboxRun:
    """One run of a model: input, files, log, output and time. `speed` multiplies times; 0 is as fast as possible.

    `text` is the output of a model that gives a text, `fields` of a model that gives an object.
    """

    prediction: SandboxPrediction
    clock: SandboxClock
    speed: float
    worker: Executor
    input_files: InputFiles
    on_text: Callable[[str], None]
    on_log: Callable[[str], None]
    on_file: Callable[[OutputFile], None]
    files: list[OutputFile] = field(default_factory=list)
    text: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

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

    async def read_files(self, name: str) -> list[bytes]:
        """Return the bytes of the files of a list input; an empty list without the input."""
        return [self.input_files.read(value) for value in self.input.get(name) or ()]

    def stream_text(self, token: str) -> None:
        """Stream a piece of text."""
        self.on_text(token)

    def show_file(self, content: bytes, extension: str) -> None:
        """Publish an unfinished output, which the files at the end replace."""
        self.on_file(OutputFile(content, extension))

    def add_file(self, content: bytes, extension: str) -> None:
        """Add an output file."""
        self.files.append(OutputFile(content, extension))


def _draw_bar(share: float) -> str:
    return ("█" * int(share * 10)).ljust(10)


Performance = Callable[[SandboxRun], Awaitable[None]]


class SandboxOutputKind(Enum):
    FILE = auto()
    FILES = auto()
    TEXT = auto()
    TEXT_STREAM = auto()
    OBJECT = auto()
    TRAINING = auto()

    @property
    def is_files(self) -> bool:
        return self in (SandboxOutputKind.FILE, SandboxOutputKind.FILES)


_OUTPUT_SCHEMAS: dict[SandboxOutputKind, dict[str, Any]] = {
    SandboxOutputKind.FILE: _URI,
    SandboxOutputKind.FILES: {"type": "array", "items": _URI},
    SandboxOutputKind.TEXT: {"type": "string"},
    SandboxOutputKind.OBJECT: {"type": "object"},
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
class BillingTier:
    """Dollars by metric, as texts, for inputs with the values of `criteria`; tokens and characters by the million."""

    prices: Mapping[str, str]
    criteria: Mapping[str, Any] = field(default_factory=dict)

    def build_body(self) -> dict[str, Any]:
        """Return the tier as the page of the real model embeds its tiers."""
        return {
            "criteria": [{"property": name, "value": value} for name, value in self.criteria.items()],
            "prices": [
                {"metric": metric, "price": f"${usd}", "type": "per-unit", "title": _build_billing_title(metric)}
                for metric, usd in self.prices.items()
            ],
        }


def _build_billing_title(metric: str) -> str:
    unit = metric.removesuffix("_count").replace("_", " ")
    return f"per million {unit}s" if metric.startswith(("token", "character")) else f"per {unit}"


@dataclass(frozen=True)
class SandboxModel:
    """`nsfw_error` is the real model's text for a flagged run; models without such a text use E005.

    `training_fields` are the inputs of a training; a model without fields cannot be trained. `billing` is the price on
    the model's page; a model paid by the second of its machine publishes none.
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
    billing: tuple[BillingTier, ...] = ()

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


def create_model(
    full_name: str,
    description: str,
    fields: tuple[InputField, ...],
    perform: Performance,
    *,
    output: SandboxOutputKind = SandboxOutputKind.FILE,
    version: str = "",
    billing: tuple[BillingTier, ...] = (),
    nsfw_error: str | None = None,
) -> SandboxModel:
    """Return the model of an `owner/name`: official without a version, whose id is then invented."""
    owner, name = full_name.split("/")
    return SandboxModel(
        owner=owner,
        name=name,
        version=version or derive_version_id(full_name),
        description=f"Sandbox: {description}",
        fields=fields,
        output=output,
        perform=perform,
        is_official=not version,
        nsfw_error=nsfw_error,
        billing=billing,
    )


def _build_object_schema(title: str, fields: tuple[InputField, ...]) -> dict[str, Any]:
    properties = {field.name: field.build_schema(order) for order, field in enumerate(fields)}
    schema: dict[str, Any] = {"type": "object", "title": title, "properties": properties}
    if required := [field.name for field in fields if field.required]:
        schema["required"] = required
    return schema
