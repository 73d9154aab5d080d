"""Text from outside, made whole and safe: no half emoji, no control signs, and no invisible writing.

Half an emoji (a lone surrogate) can be neither stored, sent nor logged. Text of models also loses direction controls,
terminal escapes and invisible writing, on every platform; each platform handles mentions and links.
"""

import re
import unicodedata
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


# Text of models.

# Removed: controls (and so terminal escapes), bidi marks and overrides, and invisible signs.
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    r"\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0080-\U000e00ff\U000e01f0-\U000e0fff]+"
)
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029]")
# Tags after a black flag spell the flags of regions; all other tags are invisible writing.
_TAGS = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{2,7}\U000e007f|[\U000e0000-\U000e007f]+")
_JOINERS_AND_SELECTORS = re.compile("[\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_MARKS = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILED_MARKS = re.compile(f"({_MARKS}{{8}}){_MARKS}+")
_ANY = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u0300-\u036f\u0483-\u0489\u061c\u115f\u1160\u17b4\u17b5\u180e\u1ab0-\u1aff"
    r"\u1dc0-\u1dff\u200b-\u200f\u2028-\u202e\u2060-\u206f\u20d0-\u20ff\u3164\ud800-\udfff\ufe00-\ufe0f\ufe20-\ufe2f"
    r"\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def sanitize_text(text: str) -> str:
    """Return the text without direction controls, terminal escapes and invisible writing; emoji and scripts stay whole.

    Line ends become newlines, lone surrogates become U+FFFD, and a letter keeps at most eight accents.
    """
    if text.isascii() and text.isprintable():
        return text
    if not _ANY.search(text):
        return text
    text = _LINE_ENDS.sub(_line_end, text)
    text = _SURROGATES.sub("\ufffd", text)
    text = _HIDDEN.sub("", text)
    text = _TAGS.sub(_flag_or_nothing, text)
    text = _JOINERS_AND_SELECTORS.sub(_keep_needed_joiners, text)
    return _PILED_MARKS.sub(r"\1", text)


def _line_end(match: re.Match[str]) -> str:
    # A carriage return at the end may be half of a line end: wait for the other half.
    return "" if match[0] == "\r" and match.end() == len(match.string) else "\n"


def _flag_or_nothing(match: re.Match[str]) -> str:
    return match[0] if match[0][0] == "\U0001f3f4" else ""


def _keep_needed_joiners(match: re.Match[str]) -> str:
    """Return the first selector of a run, and one joiner between signs that join."""
    run = match[0]
    selector = run[0] if run[0] not in "\u200c\u200d" else ""
    joiner = next((character for character in run if character in "\u200c\u200d"), "")
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return selector + (joiner if _takes_joiner(before) and _takes_joiner(after) else "")


def _takes_joiner(character: str) -> bool:
    """Return whether a sign joins: emoji, and letters and marks of scripts from Hebrew to Mongolian and beyond."""
    if not character:
        return False
    is_joining = "\u0590" <= character <= "\u1cff" or character >= "\ua800"
    kind = unicodedata.category(character)
    return kind in ("So", "Sk") or (is_joining and kind[0] in "LM") or character in "♀♂⚕⚖✈❤➡↔↕"
