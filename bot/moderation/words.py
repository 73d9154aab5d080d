"""Refused words, found however they are written: folded in case, width and accents, with globs."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

_WORD = re.compile(r"\w+")


def folded(text: str) -> str:
    """Text with case, width and combining marks taken away, and invisible signs removed."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in decomposed if unicodedata.category(sign) not in ("Mn", "Cf"))


def first_refused(text: str, words: Iterable[str]) -> str | None:
    """The first of `words` that stands in the text, whole words only; `*` stands for any letters of one word."""
    plain = folded(text)
    tokens = _WORD.findall(plain)
    return next((word for word in words if _stands(word, plain, tokens)), None)


def _stands(word: str, plain: str, tokens: Sequence[str]) -> bool:
    if "*" not in word:
        return _pattern(word).search(plain) is not None
    globs = folded(word).split()
    starts = range(len(tokens) - len(globs) + 1)
    return any(all(map(_matches, globs, tokens[start : start + len(globs)])) for start in starts)


@lru_cache(maxsize=4096)
def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(folded(word))}(?!\w)")


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
