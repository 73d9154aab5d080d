"""Find refused words in a text, regardless of case, width and accents, with globs.

Each of up to `admin.MAX_WORDS` words costs time linear in the text, whatever the word and the text.
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
    # Remove marks first: `normalize` sorts a run of marks in quadratic time. U+0345 stays, as it folds to a letter.
    if not text.isascii():
        text = "".join(character for character in text if character == "\u0345" or not _is_invisible(character))
    # Decompose before and after folding: mathematical bold capitals fold only after their decomposition to letters.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in folded if not _is_invisible(character))


def find_refused_word(text: str, words: Iterable[str]) -> str | None:
    """Return the first of `words` in the text, as whole words; `*` stands for any letters of one word."""
    searched = _SearchedText(_normalize_text(text))
    return next((word for word in words if _parse_word(word).is_in(searched)), None)


@dataclass(frozen=True)
class _SearchedText:
    """A folded text with its words, computed once for all refused words."""

    plain: str

    @cached_property
    def tokens(self) -> list[str]:
        return _WORD.findall(self.plain)

    @cached_property
    def spaced_words(self) -> str:
        return f" {' '.join(self.tokens)} " if self.tokens else " "

    @cached_property
    def signs(self) -> frozenset[str]:
        return frozenset(self.spaced_words)


@dataclass(frozen=True, slots=True)
class _RefusedWord:
    """A refused word, ready for the search: each ask is searched for every word of the workspace."""

    plain: str
    globs: str = ""
    """The word with stars, if it has any."""
    parts: tuple[str, ...] = ()
    """The letters between the stars."""
    signs: frozenset[str] = frozenset()
    """The single letters of `parts`: one that a text lacks is found without a search."""
    is_whole: bool = False
    """Whether `plain` is words between spaces, which need no pattern."""

    def is_in(self, text: _SearchedText) -> bool:
        # The substring tests are the fastest: a pattern is compiled and searched for a likely match only.
        if self.globs:
            is_likely = self.signs <= text.signs and all(part in text.spaced_words for part in self.parts)
            return is_likely and _compile_globs(self.globs).search(text.spaced_words) is not None
        if self.is_whole:
            return self.plain in text.spaced_words
        return self.plain in text.plain and _compile_pattern(self.plain).search(text.plain) is not None


@lru_cache(maxsize=4096)
def _parse_word(word: str) -> _RefusedWord:
    plain = _normalize_text(word)
    if "*" in plain:
        globs = _GLOB.findall(plain)
        parts = {part: None for glob in globs for part in glob.split("*") if part}
        return _RefusedWord(plain, " ".join(globs), tuple(parts), frozenset("".join(parts)))
    if _ONLY_WORDS.fullmatch(plain):
        return _RefusedWord(f" {plain} ", is_whole=True)
    return _RefusedWord(plain)


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


@lru_cache(maxsize=4096)
def _compile_pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


@lru_cache(maxsize=4096)
def _compile_globs(globs: str) -> re.Pattern[str]:
    """Return the pattern of globs for adjacent words, in a text of words between single spaces."""
    # The space before is part of the match: a search for fixed characters skips most places.
    return re.compile(f" {' '.join(map(_glob_to_regex, globs.split(' ')))}(?= )")


def _glob_to_regex(glob: str) -> str:
    # Atomic groups take the first place of each part and never try another: with plain stars a long word would be
    # divided in all ways.
    first, *others = re.split(r"\*+", glob)
    if not others:
        return re.escape(first)
    *middle, last = others
    parts = "".join(f"(?>[^ ]*?{re.escape(part)})" for part in middle)
    # A word has no space, so the last part stands right before the next space.
    return f"{re.escape(first)}{parts}[^ ]*{re.escape(last)}"
