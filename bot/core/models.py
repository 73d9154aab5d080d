"""An entry of the catalogue: what a model is for, what it takes, what it gives and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from bot.core.json import JSON


class Task(StrEnum):
    """What a model is for."""

    IMAGINE = "imagine"
    UPSCALE = "upscale"
    CAPTION = "caption"
    CHAT = "chat"


class OutputKind(StrEnum):
    """What a model gives. The schema decides, never the look of the text."""

    PICTURES = "pictures"
    TEXT = "text"
    TEXT_STREAM = "text_stream"


class PriceUnit(StrEnum):
    """What a model is billed by."""

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
    """How one option of a command becomes inputs of a model, and the bounds the model sets.

    `name` is the model's field. `choices` lists allowed values; a choice may stand for several fields (`expands`),
    as an aspect ratio does for width and height. `also` adds fixed fields whenever the option is given.
    """

    name: str = ""
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    max_pixels: int | None = None
    """For pictures: a larger one is made smaller before it is sent."""
    default: JSON = None
    choices: tuple[str, ...] = ()
    expands: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    also: Mapping[str, JSON] = field(default_factory=dict)
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalogue."""

    key: str
    """Our name for it, such as `flux-schnell`."""
    title: str
    task: Task
    backend: str
    ref: str
    """The backend's name for it, such as `black-forest-labs/flux-schnell`."""
    version: str
    """The pinned version (64 hex digits), or empty for models the backend keeps current."""
    output: OutputKind
    price: Price
    max_seconds: int
    """Longest time of running we pay for; the watcher cancels after it."""
    usual_seconds: float
    """Usual time of running, until the bot has learnt it."""
    inputs: Mapping[str, InputRule]
    fixed: Mapping[str, JSON] = field(default_factory=dict)
    template: str = ""
    """The chat template a text model needs: `llama3`, or empty."""
    context_tokens: int = 0
    strip_prefixes: tuple[str, ...] = ()
    """Words a model puts before its answer, such as `Caption: `."""
    is_adult: bool = False
    description: str = ""
    deployment: str = ""
    """The backend's name of a deployment of ours that runs it, such as `ana/fast-flux`, or empty."""
    at_once: int | None = None
    """How many runs of it may go on at once, over all processes; None for as many as come."""
