"""Finds the answer in a language model's text: without thoughts, and with the halves of split characters joined.

The answer in a longer text extends the answer in a shorter text, so a growing text can be read again and again while
tokens arrive. Only a closing tag without an opening tag breaks the rule, at the end of the text.
"""

import re

from bot.core.text import mend_text, sanitize_text
from bot.streaming.blocks import Fence, find_fence_after_line

# DeepSeek, Qwen and others write <think>, Kimi ◁think▷, Magistral [THINK].
_TAGS = ("<think>", "<thinking>", "<thought>", "◁think▷", "[think]")
_CLOSING_TAGS = tuple(tag[0] + "/" + tag[1:] for tag in _TAGS)
_TAG = re.compile("|".join(re.escape(tag) for tag in (*_TAGS, *_CLOSING_TAGS)), re.IGNORECASE)
_TAG_OR_FENCE = re.compile(rf"(?P<fence>^[ \t]*(?:`{{3}}|~{{3}})[^\n]*)|{_TAG.pattern}", re.IGNORECASE | re.MULTILINE)
_TAG_HEADS = frozenset(tag[:length] for tag in (*_TAGS, *_CLOSING_TAGS) for length in range(1, len(tag)))
_LONGEST_TAG = max(len(tag) for tag in _CLOSING_TAGS)
_SPACE = re.compile(r"\s*")
_LONGEST_FENCE = 1_000

# Signs without ink that a text may keep: joiners, selectors, and the empty cell of Braille.
_INKLESS = re.compile("[\u180b-\u180f\u200c\u200d\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_EMPTY_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n\s*(?:\1[`~]*[ \t]*(?:\n|\Z)|\Z)", re.MULTILINE)
_EMPTY_CODE = re.compile(r"`+\s*`*|~{3,}")


def extract_answer(text: str, *, is_whole: bool = True) -> str:
    """Return the text without thoughts; `<think>` inside code stays, as part of an answer about thoughts.

    Of a text that still grows (`is_whole` is false), half a tag and half a character at the end are held back.
    """
    if not is_whole and text and "\ud800" <= text[-1] <= "\udbff":
        text = text[:-1]
    text = mend_text(text)
    if not any(sign in text for sign in "<◁["):
        return text
    return _AnswerReader(text).read(is_whole=is_whole)


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: white space, signs without ink, and empty code alone."""
    inked = _INKLESS.sub(" ", sanitize_text(text))
    return not _EMPTY_CODE.sub("", _EMPTY_FENCE.sub("", inked)).strip()


class _AnswerReader:
    """Reads a text once, from tag to tag."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._shown: list[str] = []
        self._position = 0
        self._depth = 0
        self._fence: Fence | None = None
        self._has_thoughts = False
        self._last_close = -1

    def read(self, *, is_whole: bool) -> str:
        scanned = 0
        while match := (_TAG if self._depth else _TAG_OR_FENCE).search(self._text, scanned):
            scanned = match.end()
            if match.groupdict().get("fence"):
                self._fence = find_fence_after_line(match[0], self._fence, _LONGEST_FENCE)
            elif self._depth or not self._is_code(match.start()):
                self._take_tag(match, is_whole=is_whole)
        if not self._depth:
            self._show(len(self._text) if is_whole else self._find_end())
        elif is_whole and self._last_close > 0 and not "".join(self._shown).strip():
            # A thought that mentions <think> never closes by count: the answer follows the last closing tag.
            return self._text[self._last_close :].lstrip()
        return "".join(self._shown)

    def _is_code(self, position: int) -> bool:
        return self._fence is not None or self._text[position - 1 : position] == "`"

    def _take_tag(self, tag: re.Match[str], *, is_whole: bool) -> None:
        if not self._depth:
            self._show(tag.start())
        if tag[0][1] != "/":
            self._depth += 1
            self._has_thoughts = True
            return
        self._last_close = tag.end()
        if not self._depth and not self._has_thoughts and is_whole:
            # Some chat templates write the opening tag into the prompt: all of the text so far was a thought.
            self._shown.clear()
        self._has_thoughts = True
        self._depth = max(0, self._depth - 1)
        if not self._depth:
            self._position = tag.end()
            if not self._shown or self._shown[-1][-1:].isspace():
                space = _SPACE.match(self._text, tag.end())
                self._position = space.end() if space else tag.end()

    def _show(self, end: int) -> None:
        if end > self._position:
            self._shown.append(self._text[self._position : end])
        self._position = max(self._position, end)

    def _find_end(self) -> int:
        """Return the end of the text, before what may become a tag."""
        length = len(self._text)
        if self._fence is None:
            for start in range(max(self._position, length - _LONGEST_TAG + 1), length):
                if self._text[start:].lower() in _TAG_HEADS and not self._is_code(start):
                    return start
        return length
