"""Refused words, found however they are written: folded in case, width and accents, with globs."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


def folded(text: str) -> str:
    """Text with case, width and combining marks taken away, and invisible signs removed."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in decomposed if unicodedata.category(sign) not in ("Mn", "Cf"))


def first_refused(text: str, words: Iterable[str]) -> str | None:
    """The first of `words` that stands in the text, whole words only; `*` stands for any letters."""
    plain = folded(text)
    return next((word for word in words if _pattern(word).search(plain)), None)


@lru_cache(maxsize=4096)
def _pattern(word: str) -> re.Pattern[str]:
    body = r"\w*".join(re.escape(part) for part in folded(word).split("*"))
    return re.compile(rf"(?<!\w){body}(?!\w)")
