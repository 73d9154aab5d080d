"""Write TOML that people read: each value on one line, no character that plays tricks on a terminal."""

import re
from collections.abc import Mapping
from datetime import date

import tomlkit
from tomlkit.items import Comment, Item

from bot.core.json import JSON

_UNSAFE = re.compile("[\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Surrogates, which no file can hold, and controls of line ends and writing direction."""


def value_item(value: JSON | date | Mapping[str, JSON | date]) -> Item:
    """Return a value for a TOML table, mappings as inline tables. Raises `ValueError` for None: TOML has no null."""
    if value is None:
        raise ValueError("TOML has no null")
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for name, inner in value.items():
            table.append(name, value_item(inner))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for inner in value:
            array.append(value_item(inner))
        return array
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return tomlkit.item(int(value))
    return tomlkit.item(value)


def comment_item(text: str) -> Comment:
    """Return a comment of one line; no character of the text can end it."""
    return tomlkit.comment(flatten_text(text))


def dump(document: tomlkit.TOMLDocument) -> str:
    """Return the document as text. Unsafe characters can stand in strings only, so each becomes an escape."""
    return _UNSAFE.sub(_escape, tomlkit.dumps(document))


def flatten_text(text: str) -> str:
    """Return a text without line breaks and control characters."""
    visible = "".join(character if character.isprintable() else " " for character in _UNSAFE.sub(" ", text))
    return " ".join(visible.split())


def _escape(match: re.Match[str]) -> str:
    # A lone surrogate has no escape either: TOML knows whole characters only.
    code = ord(match[0])
    return f"\\u{0xFFFD if 0xD800 <= code <= 0xDFFF else code:04x}"
