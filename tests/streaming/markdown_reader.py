"""Reads Markdown as clients of CommonMark do, by markdown-it: each character with the marks around it.

Discord's client differs from CommonMark, as far as cuts are concerned: `||words||` hides words and may span paragraphs,
`>>> ` quotes the rest of the message, a line without `>` never belongs to a quote, and there is no code by indentation.
`read_marks(…, is_discord=True)` reads these rules; tables are read with both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt

_READER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["code", "html_block"])
_INLINE = {"strong_open": "bold", "em_open": "italic", "s_open": "struck", "link_open": "link"}
_BLOCKS = {
    "blockquote_open": "quote", "list_item_open": "item", "heading_open": "heading", "th_open": "header",
    "td_open": "cell",
}  # fmt: skip
_SPOILER = re.compile(r"\|\|")
_HIDDEN, _SHOWN = "\ue000", "\ue001"


@dataclass(frozen=True)
class MarkedCharacter:
    """A visible character, and its marks in alphabetical order: a mark stands as often as it is nested."""

    character: str
    marks: tuple[str, ...]


def read_marks(text: str, *, is_discord: bool = False) -> list[MarkedCharacter]:
    """Return the visible characters other than white space. Zero-width spaces are the bot's own and not visible."""
    if is_discord:
        text = _mark_spoilers(text)
    found: list[MarkedCharacter] = []
    is_hidden = False
    for character, marks in _read_blocks(text):
        if character in (_HIDDEN, _SHOWN):
            is_hidden = character == _HIDDEN
        elif not character.isspace() and character != "\u200b":
            found.append(MarkedCharacter(character, tuple(sorted([*marks, *(["spoiler"] if is_hidden else [])]))))
    return found


def _mark_spoilers(text: str) -> str:
    """Replace the pairs of `||` by signs that are read as words. Code is expected to hold no `||`."""
    signs = [match.start() for match in _SPOILER.finditer(text)]
    for n, at in reversed(list(enumerate(signs[: len(signs) // 2 * 2]))):
        text = f"{text[:at]}{_SHOWN if n % 2 else _HIDDEN}{text[at + 2 :]}"
    return text


def _read_blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    around: list[str] = []
    for token in _READER.parse(text):
        if token.type in _BLOCKS:
            around.append(_BLOCKS[token.type])
        elif token.type.replace("_close", "_open") in _BLOCKS:
            around.pop()
        elif token.type == "fence":
            yield from ((character, [*around, "code"]) for character in token.content)
        elif token.type == "inline":
            yield from _read_inline(token.children or [], around)


def _read_inline(tokens: list[Any], around: list[str]) -> Iterator[tuple[str, list[str]]]:
    marks: list[str] = []
    for token in tokens:
        if token.type in _INLINE:
            target = f" to {token.attrGet('href')}" if token.type == "link_open" else ""
            marks.append(_INLINE[token.type] + target)
        elif token.type.replace("_close", "_open") in _INLINE:
            marks.pop()
        elif token.type == "code_inline":
            yield from ((character, [*around, *marks, "code"]) for character in token.content)
        else:
            yield from ((character, [*around, *marks]) for character in token.content)
