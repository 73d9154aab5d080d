"""The published schema of a model: fields, bounds and output."""

from dataclasses import dataclass
from enum import StrEnum

from bot.core.json import JSON
from bot.core.models import OutputKind


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
