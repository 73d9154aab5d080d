"""What a model of the sandbox is: a real model's id, inputs and output kind, performed by a function of ours."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from bot.sandbox.fields import InputField
from bot.sandbox.run import SandboxRun

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
    """`nsfw_error` is what the real model says when it flags everything; models without that use E005.

    `training_fields` are the inputs of its training; a model without any cannot be trained.
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
        """What a prediction's `version` says: official models hide theirs."""
        return "hidden" if self.is_official else self.version

    def openapi_schema(self) -> dict[str, Any]:
        """The schema that GET /v1/models/… carries: Input, Output and one schema per enum."""
        enums = {field.name: field.build_enum_schema() for field in self.fields if field.choices}
        schemas = {
            "Input": _object("Input", self.fields),
            "Output": {"title": "Output", **_OUTPUT_SCHEMAS[self.output]},
            **enums,
        }
        if self.training_fields:
            schemas |= {
                "TrainingInput": _object("TrainingInput", self.training_fields),
                "TrainingOutput": _TRAINING_OUTPUT,
            }
        return {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "paths": {},
            "components": {"schemas": schemas},
        }


def _object(title: str, fields: tuple[InputField, ...]) -> dict[str, Any]:
    properties = {field.name: field.build_schema(order) for order, field in enumerate(fields)}
    schema: dict[str, Any] = {"type": "object", "title": title, "properties": properties}
    if required := [field.name for field in fields if field.required]:
        schema["required"] = required
    return schema
