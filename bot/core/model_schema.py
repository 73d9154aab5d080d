"""A model as its backend publishes it: what it takes, in what bounds, and what it gives."""

from dataclasses import dataclass
from enum import StrEnum

from bot.core.json import JSON
from bot.core.models import OutputKind


class FieldKind(StrEnum):
    """What a field of a model takes."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    BOOLEAN = "yes or no"
    FILE = "file"
    FILES = "list of files"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One field. `kinds` has several for a union; `choices` are the values it takes, as they are sent."""

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
    """One version of a model. `fields` are in the order the model shows them; None: no schema was published."""

    ref: str
    version: str
    """The version described here; empty when the model has none."""
    newest_version: str
    is_official: bool = False
    """Kept current by the backend and called without a version."""
    fields: tuple[SchemaField, ...] | None = None
    output: OutputKind | None = None
    """None for what the bot has no word for."""
    description: str = ""
    usual_seconds: float | None = None
    """How long its published example ran."""

    def find_field(self, name: str) -> SchemaField | None:
        """The field of that name, if it has one."""
        return next((field for field in self.fields or () if field.name == name), None)
