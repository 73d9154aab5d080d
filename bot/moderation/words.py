"""Refused words, found however they are written: folded in case, width and accents, with globs.

It is looked at inside the transaction that accepts an ask, for as many words as a workspace may have: so nothing here
takes longer than going through the text once, but where a word is as good as found.
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
"""Hangul fillers: letters by their category, of which nothing is seen."""


def fold(text: str) -> str:
    """Text with case, width and combining marks taken away, and invisible signs removed."""
    # Decomposed before and after: bold capitals have no small letters until they are plain ones.
    small = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(sign for sign in small if not _is_invisible(sign))


def find_refused_word(text: str, words: Iterable[str]) -> str | None:
    """The first of `words` that stands in the text, whole words only; `*` stands for any letters of one word."""
    read = _Text(_normalize_text(text))
    return next((word for word in words if _contains_word(_normalize_word(word), read)), None)


@dataclass(frozen=True)
class _Text:
    """A text as it is looked through: folded, and as its words alone."""

    plain: str

    @cached_property
    def tokens(self) -> list[str]:
        return _WORD.findall(self.plain)

    @cached_property
    def joined(self) -> str:
        return f" {' '.join(self.tokens)} "

    @cached_property
    def different(self) -> frozenset[str]:
        return frozenset(self.tokens)


def _contains_word(word: str, text: _Text) -> bool:
    if "*" in word:
        return _contains_glob(_GLOB.findall(word), text)
    if _ONLY_WORDS.fullmatch(word):
        return f" {word} " in text.joined
    return word in text.plain and _pattern(word).search(text.plain) is not None


def _contains_glob(globs: list[str], text: _Text) -> bool:
    if not all(part in text.joined for glob in globs for part in glob.split("*")):
        return False
    if len(globs) == 1:
        return any(_matches(globs[0], token) for token in text.different)
    tokens = text.tokens
    starts = range(len(tokens) - len(globs) + 1)
    return any(all(map(_matches, globs, tokens[start : start + len(globs)])) for start in starts)


def _is_invisible(sign: str) -> bool:
    """Marks on or around a letter, formats, controls that are no space, and fillers."""
    category = unicodedata.category(sign)
    return category in ("Mn", "Me", "Cf") or (category == "Cc" and not sign.isspace()) or sign in _INVISIBLE


def _normalize_text(text: str) -> str:
    """Folded, with one space wherever there is a gap: underscores are how a word is slanted, and part of none."""
    return " ".join(fold(text).replace("_", " ").split())


_normalize_word = lru_cache(maxsize=4096)(_normalize_text)


@lru_cache(maxsize=4096)
def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


def _matches(glob: str, token: str) -> bool:
    """In one pass. A pattern of several stars would try every way to share out a long word between them."""
    first, *middle = glob.split("*")
    if not middle:
        return token == first
    *middle, last = middle
    end = len(token) - len(last)
    if not (token.startswith(first) and token.endswith(last) and end >= len(first)):
        return False
    at = len(first)
    for part in middle:
        found = token.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
