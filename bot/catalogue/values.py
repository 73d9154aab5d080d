"""A value beside the published field it is sent to."""

import json

from bot.core.json import JSON
from bot.core.published import FieldKind, SchemaField


def explain_mismatch(field: SchemaField, value: JSON) -> str:
    """Why the field refuses this value, as the end of a sentence; empty when it takes it."""
    if value is None:
        return "" if field.is_nullable or not field.is_required else "it must not be empty"
    if not any(_is_of_kind(kind, value) for kind in field.kinds):
        return f"it takes a {' or a '.join(sorted(field.kinds))}"
    if field.choices and not any(_is_equal(value, choice) for choice in field.choices):
        return f"it takes {', '.join(format_value(choice) for choice in field.choices)}"
    if isinstance(value, str):
        is_long = field.max_length is not None and len(value) > field.max_length
        return f"it takes at most {field.max_length} characters" if is_long else ""
    return _explain_bounds(field, value)


def format_value(value: JSON) -> str:
    """A value as the catalogue would write it."""
    return json.dumps(value, ensure_ascii=False)


def _is_of_kind(kind: FieldKind, value: JSON) -> bool:
    if kind is FieldKind.OTHER:
        return True
    if isinstance(value, bool):
        return kind is FieldKind.BOOLEAN
    if isinstance(value, str):
        return kind in (FieldKind.TEXT, FieldKind.FILE)
    if isinstance(value, list):
        return kind is FieldKind.FILES
    if isinstance(value, float) and not value.is_integer():
        return kind is FieldKind.NUMBER
    return isinstance(value, int | float) and kind in (FieldKind.INTEGER, FieldKind.NUMBER)


def _is_equal(value: JSON, choice: JSON) -> bool:
    """1 and 1.0 are one number, 1 and "1" are not, nor are 1 and true."""
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def _explain_bounds(field: SchemaField, value: JSON) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if field.minimum is not None and value < field.minimum:
        return f"it takes {field.minimum:g} and more"
    if field.maximum is not None and value > field.maximum:
        return f"it takes at most {field.maximum:g}"
    return ""
