"""Text from outside, made whole: half an emoji (a lone surrogate) can be neither stored, sent nor logged."""

import re
from collections.abc import Mapping
from typing import Any

_SURROGATES = re.compile("[\ud800-\udfff]")

# C0 and C1 begin a terminal's commands; marks of direction and separators of lines reorder or break the lines.
_LONE_RETURN = re.compile(r"\r(?!\n)")
_TERMINAL_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Any text of the form <|…|> can switch roles in some chat template, and so can the tags of other templates.
_CONTROL = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"


def mend_text(text: str) -> str:
    """Return the text with U+FFFD for each lone surrogate; two halves that belong together become one character."""
    if text.isascii() or not _SURROGATES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mend_texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with all names and texts mended."""
    return {mend_text(name): mend_text(value) if isinstance(value, str) else value for name, value in values.items()}


def neutralise_control_tokens(text: str) -> str:
    """Return the text with each control token of a chat template broken by a zero-width space."""
    return _CONTROL.sub(lambda match: match[0][0] + _ZERO_WIDTH_SPACE + match[0][1:], text)


def clean_for_terminal(text: str) -> str:
    """Return an untrusted text for a terminal, with U+FFFD for lone surrogates and control characters.

    Lines and tabs stay; a carriage return inside a line, which would overwrite the line, is left out.
    """
    return _TERMINAL_CONTROLS.sub("\ufffd", _LONE_RETURN.sub("", mend_text(text)))


def mend_file_name(name: str) -> str:
    """Return a file's name as one line: U+FFFD for lone surrogates, NUL and other control characters."""
    return "".join(sign if sign >= " " and sign != "\x7f" else "\ufffd" for sign in mend_text(name))


def escape_formula(cell: str) -> str:
    """Return a cell of a table that no spreadsheet runs as a formula (owasp.org, CSV injection)."""
    # An apostrophe marks text, as in a user name such as "=HYPERLINK(…)".
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
