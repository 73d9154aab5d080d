"""Rows as a person reads them in a terminal."""

import unicodedata
from collections.abc import Sequence


def format_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as they need; the last is left as it is."""
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths[:-1], strict=False)), row[-1]])
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def sanitise_line(text: str, *, max_characters: int = 100) -> str:
    """Somebody else's text on one line, without characters that command a terminal or turn its direction."""
    shown = "".join(" " if unicodedata.category(character).startswith("C") else character for character in text)
    line = " ".join(shown.split())
    return line if len(line) <= max_characters else line[:max_characters].rstrip() + "…"
