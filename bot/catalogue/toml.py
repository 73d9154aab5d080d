"""Values as TOML spells them. The standard library reads TOML and does not write it."""

import json
import re
from collections.abc import Mapping
from datetime import date

from bot.core.json import JSON

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_UNWRITABLE = re.compile("[\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What TOML forbids besides what JSON escapes, and what would play tricks on a terminal."""


def spell(value: JSON | date | Mapping[str, JSON | date]) -> str:
    """A value on one line. Raises `ValueError` for None, which TOML does not know."""
    if value is None:
        raise ValueError("TOML has no null")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _UNWRITABLE.sub(_escaped, json.dumps(value, ensure_ascii=False))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, list):
        return f"[{', '.join(spell(item) for item in value)}]"
    if isinstance(value, Mapping):
        pairs = [f"{spell_key(name)} = {spell(item)}" for name, item in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    return str(value)


def _escaped(match: re.Match[str]) -> str:
    """Half an emoji has no escape either: TOML knows whole characters only."""
    code = ord(match[0])
    return f"\\u{0xFFFD if 0xD800 <= code <= 0xDFFF else code:04x}"


def spell_key(name: str) -> str:
    """A key, quoted where it has to be."""
    return name if _BARE.fullmatch(name) else spell(name)


def remark(text: str) -> str:
    """A comment on one line; no character of somebody else's text can end it."""
    return f"# {one_line(text)}"


def one_line(text: str) -> str:
    """Somebody else's text without line breaks and control characters."""
    visible = "".join(character if character.isprintable() else " " for character in _UNWRITABLE.sub(" ", text))
    return " ".join(visible.split())
