"""Find refused words in a text, regardless of case, width and accents, with globs.

The search runs inside the transaction that accepts a job, for up to `admin.MAX_WORDS` words. So each check must be
linear in the text, except once a word is a likely match.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

_WORD = re.compile(r"[^\W_]+")
_GLOB = re.compile(r"(?:[^\W_]|\*)+")
_ONLY_WORDS = re.compile(r"[^\W_]+(?: [^\W_]+)*")

_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0")
"""Hangul fillers: letters by category, but invisible."""


def fold(text: str) -> str:
    """Return a text without case, width, combining marks and invisible characters."""
    # Decompose before and after folding: mathematical bold capitals fold only after their decomposition to letters.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in folded if not _is_invisible(character))


def find_refused_word(text: str, words: Iterable[str]) -> str | None:
    """Return the first of `words` in the text, as whole words; `*` stands for any letters of one word."""
    searched = _SearchedText(_normalize_text(text))
    return next((word for word in words if _contains_word(_normalize_word(word), searched)), None)


@dataclass(frozen=True)
class _SearchedText:
    """A folded text with its words, computed once for all refused words."""

    plain: str

    @cached_property
    def tokens(self) -> list[str]:
        return _WORD.findall(self.plain)

    @cached_property
    def joined(self) -> str:
        return f" {' '.join(self.tokens)} "

    @cached_property
    def distinct_tokens(self) -> frozenset[str]:
        return frozenset(self.tokens)


def _contains_word(word: str, text: _SearchedText) -> bool:
    if "*" in word:
        return _contains_glob(_GLOB.findall(word), text)
    if _ONLY_WORDS.fullmatch(word):
        return f" {word} " in text.joined
    # The substring test is the linear one: the pattern is compiled and searched for a likely match only.
    return word in text.plain and _compile_pattern(word).search(text.plain) is not None


def _contains_glob(globs: list[str], text: _SearchedText) -> bool:
    if not all(part in text.joined for glob in globs for part in glob.split("*")):
        return False
    if len(globs) == 1:
        return any(_matches_glob(globs[0], token) for token in text.distinct_tokens)
    tokens = text.tokens
    starts = range(len(tokens) - len(globs) + 1)
    return any(all(map(_matches_glob, globs, tokens[start : start + len(globs)])) for start in starts)


def _is_invisible(character: str) -> bool:
    """Return whether a character is a combining mark, a format, a control other than a space, or a filler."""
    category = unicodedata.category(character)
    if category == "Cc":
        return not character.isspace()
    return category in ("Mn", "Me", "Cf") or character in _INVISIBLE


def _normalize_text(text: str) -> str:
    """Return a folded text with single spaces."""
    # In chat an underscore is Markdown for italics, so no part of a word.
    return " ".join(fold(text).replace("_", " ").split())


_normalize_word = lru_cache(maxsize=4096)(_normalize_text)


@lru_cache(maxsize=4096)
def _compile_pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


def _matches_glob(glob: str, token: str) -> bool:
    # One pass from left to right. A regular expression with several stars would backtrack through all divisions of a
    # long word.
    first, *middle = glob.split("*")
    if not middle:
        return token == first
    *middle, last = middle
    end = len(token) - len(last)
    if not (token.startswith(first) and token.endswith(last) and end >= len(first)):
        return False
    position = len(first)
    for part in middle:
        index = token.find(part, position, end)
        if index < 0:
            return False
        position = index + len(part)
    return True
