"""Models: an entry of the catalogue (task, inputs, output, price), and the schema that a backend publishes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction

from bot.core.file_types import PICTURES, MediaKind
from bot.core.json import JSON, is_same_value


class Task(StrEnum):
    """The purpose of a model, named after the command that runs the model."""

    IMAGINE = "imagine"
    EDIT = "edit"
    UPSCALE = "upscale"
    REMOVE_BACKGROUND = "removebg"
    RESTORE = "restore"
    CAPTION = "caption"
    TRANSCRIBE = "transcribe"
    SPEAK = "speak"
    MUSIC = "music"
    VIDEO = "video"
    CHAT = "chat"
    RUN = "run"
    """Any model, with the inputs of its published schema."""
    TRAIN = "train"
    """A training: pictures make a new version of a model."""


ASPECTS = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "4:5", "5:4", "21:9", "9:21")
"""The shapes that commands offer, as width to height."""


OUTPAINTS = ("zoom out 1.5x", "zoom out 2x", "square", "left", "right", "top", "bottom")
"""The ways to paint beyond the edges of a picture."""


class OutputKind(StrEnum):
    """The kind of output. The catalogue decides between files and text, never the look of a returned text."""

    PICTURES = "pictures"
    TEXT = "text"
    TEXT_STREAM = "text_stream"
    AUDIO = "audio"
    VIDEO = "video"
    FILES = "files"
    """Files of any kind that the bot knows."""

    @property
    def is_text(self) -> bool:
        return self in (OutputKind.TEXT, OutputKind.TEXT_STREAM)

    def accepts(self, kind: MediaKind) -> bool:
        """Return whether a file of this kind is what the model should give."""
        return self is OutputKind.FILES or _MEDIA_KINDS.get(self) is kind


_MEDIA_KINDS = {
    OutputKind.PICTURES: MediaKind.PICTURE,
    OutputKind.AUDIO: MediaKind.AUDIO,
    OutputKind.VIDEO: MediaKind.VIDEO,
}


class Metric(StrEnum):
    """An amount that backends bill. The names are Replicate's, in `billingConfig` and in a prediction's `metrics`."""

    RUN = "run"
    PREDICT_TIME = "predict_time"
    IMAGE_OUTPUT_COUNT = "image_output_count"
    IMAGE_INPUT_MEGAPIXEL_COUNT = "image_input_megapixel_count"
    IMAGE_OUTPUT_MEGAPIXEL_COUNT = "image_output_megapixel_count"
    TOKEN_INPUT_COUNT = "token_input_count"  # noqa: S105 - no password
    TOKEN_OUTPUT_COUNT = "token_output_count"  # noqa: S105 - no password
    CHARACTER_INPUT_COUNT = "character_input_count"
    AUDIO_INPUT_MINUTE_COUNT = "audio_input_minute_count"
    """Started minutes of the given recordings. No published tier with this metric was on record: the name is ours."""
    AUDIO_OUTPUT_COUNT = "audio_output_count"
    AUDIO_OUTPUT_DURATION_SECONDS = "audio_output_duration_seconds"
    VIDEO_OUTPUT_COUNT = "video_output_count"
    VIDEO_OUTPUT_DURATION_SECONDS = "video_output_duration_seconds"


MAX_UNASKED_MICROS: Mapping[Metric, Fraction] = {
    Metric.RUN: Fraction(2_000_000),
    Metric.PREDICT_TIME: Fraction(15_000),
    Metric.IMAGE_OUTPUT_COUNT: Fraction(1_000_000),
    Metric.IMAGE_INPUT_MEGAPIXEL_COUNT: Fraction(100_000),
    Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT: Fraction(100_000),
    Metric.TOKEN_INPUT_COUNT: Fraction(50),
    Metric.TOKEN_OUTPUT_COUNT: Fraction(100),
    Metric.CHARACTER_INPUT_COUNT: Fraction(500),
    Metric.AUDIO_INPUT_MINUTE_COUNT: Fraction(50_000),
    Metric.AUDIO_OUTPUT_COUNT: Fraction(1_000_000),
    Metric.AUDIO_OUTPUT_DURATION_SECONDS: Fraction(10_000),
    Metric.VIDEO_OUTPUT_COUNT: Fraction(2_000_000),
    Metric.VIDEO_OUTPUT_DURATION_SECONDS: Fraction(500_000),
}
"""Prices of a unit above which a model stays off until the owner agrees: about double the dearest common model of 2026.
One model's page lists $8 a picture among tiers of cents."""

MegapixelSpan = tuple[float, float]
"""The least and the greatest size of an output picture, in millions of pixels."""

ANY_VALUE = "*"
"""In a tier's condition: the input is given, with any value."""


@dataclass(frozen=True, slots=True)
class PriceTier:
    """So many micro-dollars for each unit of a metric, when the inputs have the values of `when`."""

    metric: Metric
    micros: Fraction
    when: Mapping[str, tuple[JSON, ...]] = field(default_factory=dict)
    """The accepted values of each input; a tier without conditions always applies."""
    up_to_megapixels: float | None = None
    """The largest output picture of this tier, in millions of pixels."""

    def applies(self, inputs: Mapping[str, object], megapixels: MegapixelSpan | None) -> bool | None:
        """Return whether the tier applies; None where the inputs leave the answer to the model."""
        answers: list[bool | None] = []
        for name, values in self.when.items():
            given = inputs.get(name)
            if ANY_VALUE in values:
                answers.append(given is not None and given is not False and given not in ("", [], ()))
            else:
                answers.append(None if given is None else any(is_same_value(given, value) for value in values))
        if self.up_to_megapixels is not None:
            least, most = megapixels or (0, float("inf"))
            answers.append(most <= self.up_to_megapixels or (None if least <= self.up_to_megapixels else False))
        return False if False in answers else None if None in answers else True


@dataclass(frozen=True, slots=True)
class Price:
    """A published price with its source. The first tier of a metric that fits the inputs counts; metrics add up.

    Where an input leaves several tiers possible, or no tier fits, the dearest counts. `bounds` limits a metric that the
    inputs do not determine. A price without tiers costs nothing in itself; `is_known` tells a free model from a model
    whose price nobody has read yet.
    """

    tiers: tuple[PriceTier, ...] = ()
    bounds: Mapping[Metric, float] = field(default_factory=dict)
    source: str = ""
    read_on: date | None = None
    is_known: bool = True
    is_agreed: bool = False
    """The owner agreed to a price above `MAX_UNASKED_MICROS`."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return the billed metrics, in the order of the tiers."""
        return tuple(dict.fromkeys(tier.metric for tier in self.tiers))

    def list_tiers(self, metric: Metric) -> list[PriceTier]:
        """Return the tiers of one metric, in order."""
        return [tier for tier in self.tiers if tier.metric is metric]

    def find_rate(
        self, metric: Metric, inputs: Mapping[str, object], megapixels: MegapixelSpan | None = None
    ) -> Fraction:
        """Return the micros for each unit of a metric: the dearest of the tiers that may apply to inputs and size."""
        possible: list[PriceTier] = []
        tiers = self.list_tiers(metric)
        for tier in tiers:
            applies = tier.applies(inputs, megapixels)
            if applies is not False:
                possible.append(tier)
            if applies:
                return max(tier.micros for tier in possible)
        # No tier surely applies, as for the quality "auto": the run may cost as much as the dearest.
        return max(tier.micros for tier in tiers)

    @property
    def objection(self) -> str:
        """Return the reason to keep the model off until the owner agrees; empty for a price to use."""
        if not self.is_known:
            return "has no price yet"
        dear = [tier for tier in self.tiers if tier.micros > MAX_UNASKED_MICROS[tier.metric]]
        if not dear or self.is_agreed:
            return ""
        dearest = max(dear, key=lambda tier: tier.micros / MAX_UNASKED_MICROS[tier.metric])
        bound = MAX_UNASKED_MICROS[dearest.metric]
        return (
            f"costs ${float(dearest.micros) / 1e6:g} for each {dearest.metric}, above the ${float(bound) / 1e6:g} "
            "that no owner is asked about"
        )


class MaskStyle(StrEnum):
    """The mark of the parts that a model repaints; people give masks with white parts."""

    WHITE = "white"
    BLACK = "black"
    ALPHA = "alpha"
    """Transparent parts are repainted."""


@dataclass(frozen=True, slots=True)
class SizeFields:
    """The fields of a model that draws in a size of its own, unless told the size of the given picture."""

    width: str
    height: str
    multiple: int
    """The model accepts sides of so many pixels, twice as many, and so on."""
    maximum: int
    """The longest side that the model accepts."""

    def fit(self, width: int, height: int) -> dict[str, JSON]:
        """Return both fields for a picture: the nearest accepted sides, in the picture's shape."""
        scale = min(1, self.maximum / max(width, height))
        steps = [max(1, round(side * scale / self.multiple)) for side in (width, height)]
        return dict(zip((self.width, self.height), (step * self.multiple for step in steps), strict=True))


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
    is_required: bool = False
    """Whether the model fails without the option, and the command may lack the option."""
    size: SizeFields | None = None
    """For a picture: the fields that take the picture's size."""
    is_file: bool = False
    media: tuple[MediaKind, ...] = PICTURES
    """The kinds of files that the model accepts."""
    max_seconds: float | None = None
    """For sounds and videos: the longest that the model accepts."""
    is_file_list: bool = False
    """Whether the model's field takes a list of files."""
    max_files: int = 1
    """The most files that the model accepts: no schema tells."""
    mask_style: MaskStyle = MaskStyle.WHITE
    """For a mask: the mark that the model expects."""


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
    fallbacks: tuple[str, ...] = ()
    """Further entries that answer, in order, while the server of this entry is away or busy."""
    finish: str = ""
    """For a draft model: the key of the model that draws a draft's picture finer, or empty."""
    price_fields: Mapping[str, str] = field(default_factory=dict)
    """The model's fields that prices count by (`count`, `max_tokens`, `scale`), where no option has that name."""
    agreed_micros: int | None = None
    """The most that a run of a model added at run time may cost, as the approver agreed; None for the file's models."""

    def accepts(self, option: str, file_count: int = 0) -> bool:
        """Return whether the model has an option, with that many files; true for an empty option."""
        rule = self.inputs.get(option)
        return not option or (rule is not None and rule.max_files >= file_count)


class FieldKind(StrEnum):
    """The type of values that a field accepts. The texts stand in sentences that operators read."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    BOOLEAN = "yes or no"
    FILE = "file"
    FILES = "list of files"
    TEXTS = "list of texts"
    NUMBERS = "list of numbers"
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
    aliases: tuple[str, ...] = ()
    """Other names by which an entry may name the field, or the bot may know its meaning."""
    is_secret: bool = False
    """Whether the field takes a password or a key of somebody's account: the bot never asks for such a value."""


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
    price_tiers: tuple[PriceTier, ...] = ()
    """The published price; empty where none could be read."""
    backend: str = "replicate"
    page: str = ""
    """Where people read about the price; empty for the model's page at Replicate."""
    context_tokens: int = 0
    problems: tuple[str, ...] = ()
    """What the server lacks for the model, as ends of sentences that begin with the model's name."""
    is_open: bool = False
    """The model may take further fields, which the server does not list."""
    run_count: int = 0
    license_url: str = ""

    def find_field(self, name: str) -> SchemaField | None:
        """Return the field of that name, or None."""
        return next((field for field in self.fields or () if name == field.name or name in field.aliases), None)


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model as a search finds it. `run_count` counts the runs of everybody."""

    ref: str
    description: str = ""
    run_count: int = 0
    is_official: bool = False


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """One version of a model. `id` is what a catalogue entry pins."""

    id: str
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AddedModel:
    """A model added at run time, for one workspace, or with empty `platform` and `workspace` for the whole bot."""

    model: Model
    fields: tuple[SchemaField, ...]
    platform: str
    workspace: str
    added_at: datetime
    is_removed: bool = False

    def is_offered_in(self, platform: str, workspace: str) -> bool:
        """Return whether a workspace is offered the model."""
        is_here = (self.platform, self.workspace) in (("", ""), (platform, workspace))
        return is_here and not self.is_removed
