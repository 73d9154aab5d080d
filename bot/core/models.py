"""Models: an entry of the catalogue (task, inputs, output, price), and the schema that a backend publishes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from bot.core.json import JSON


class Task(StrEnum):
    """The purpose of a model, named after the command that runs the model."""

    IMAGINE = "imagine"
    UPSCALE = "upscale"
    CAPTION = "caption"
    CHAT = "chat"


class OutputKind(StrEnum):
    """The kind of output. The model's schema decides the kind, never the look of a returned text."""

    PICTURES = "pictures"
    TEXT = "text"
    TEXT_STREAM = "text_stream"


class PriceUnit(StrEnum):
    """The unit of a model's bill."""

    IMAGE = "image"
    SECOND = "second"
    TOKEN = "token"  # noqa: S105 - no password
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Price:
    """A published price with its source, in micro-dollars (1 USD = 1,000,000)."""

    unit: PriceUnit
    micros_per_image: int = 0
    micros_per_second: float = 0
    micros_per_million_tokens_in: int = 0
    micros_per_million_tokens_out: int = 0
    source: str = ""
    read_on: date | None = None


@dataclass(frozen=True, slots=True)
class InputRule:
    """The mapping of one option of a command to inputs of a model, with the model's bounds.

    `name` is the model's field. `choices` lists the allowed values. `expands` maps a choice to several fields, such as
    an aspect ratio to width and height. `also` adds fixed fields whenever the option is given.
    """

    name: str = ""
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    max_pixels: int | None = None
    """For pictures: the bot shrinks a larger picture before sending."""
    default: JSON = None
    choices: tuple[str, ...] = ()
    expands: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    also: Mapping[str, JSON] = field(default_factory=dict)
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalogue."""

    key: str
    """The bot's name of the model, such as `flux-schnell`."""
    title: str
    task: Task
    backend: str
    ref: str
    """The backend's name of the model, such as `black-forest-labs/flux-schnell`."""
    version: str
    """The pinned version (64 hex digits), or empty for models the backend keeps current."""
    output: OutputKind
    price: Price
    max_seconds: int
    """The longest running time to pay for: the watcher cancels the run afterwards."""
    usual_seconds: float
    """The usual running time, until the bot has measured runs."""
    inputs: Mapping[str, InputRule]
    fixed: Mapping[str, JSON] = field(default_factory=dict)
    template: str = ""
    """The chat template of a text model: `llama3`, or empty."""
    context_tokens: int = 0
    strip_prefixes: tuple[str, ...] = ()
    """Texts that the model puts before each answer, such as `Caption: `."""
    is_adult: bool = False
    description: str = ""
    deployment: str = ""
    """The backend's name of the owner's deployment that runs the model, such as `ana/fast-flux`, or empty."""
    at_once: int | None = None
    """The maximum number of simultaneous runs over all processes; None for no maximum."""


class FieldKind(StrEnum):
    """The type of values that a field accepts. The texts stand in sentences that operators read."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    BOOLEAN = "yes or no"
    FILE = "file"
    FILES = "list of files"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One field. `kinds` has several members for a union type; `choices` are the accepted values, as sent."""

    name: str
    kinds: frozenset[FieldKind]
    is_required: bool = False
    is_nullable: bool = False
    default: JSON = None
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    choices: tuple[JSON, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class ModelSchema:
    """One version of a model. `fields` are in the model's display order, or None without a published schema."""

    ref: str
    version: str
    """The version of this schema; empty for a model without versions."""
    newest_version: str
    is_official: bool = False
    """The backend keeps the model current, and predictions name no version."""
    fields: tuple[SchemaField, ...] | None = None
    output: OutputKind | None = None
    """None for an output that the bot cannot show."""
    description: str = ""
    usual_seconds: float | None = None
    """The running time of the published example."""

    def find_field(self, name: str) -> SchemaField | None:
        """Return the field of that name, or None."""
        return next((field for field in self.fields or () if field.name == name), None)
