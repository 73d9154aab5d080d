"""Where a text may be cut without tearing what a reader sees as one character.

A subset of UAX #29 (extended grapheme clusters) on `unicodedata` alone: combining marks, emoji joined by ZWJ, skin
tones, tag flags, regional indicators, variation selectors, Hangul syllables, prepended signs, Indic conjuncts and CRLF.
Where the standard looks at tables that Python lacks (which signs are emoji, which scripts conjoin), this answers
"no boundary" in doubt: it may miss a place to cut, it does not tear.
"""

import unicodedata

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_VIRAMA_CLASS = 9
_PREPENDED = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd")
_THAI_AND_LAO_AM = frozenset("\u0e33\u0eb3")
_HALFWIDTH_VOICING = frozenset("\uff9e\uff9f")


def is_boundary(text: str, position: int) -> bool:
    """Whether a cut between `text[position - 1]` and `text[position]` tears nothing. Both ends are boundaries."""
    if position <= 0 or position >= len(text):
        return True
    before, after = text[position - 1], text[position]
    if before < "\u0300" and after < "\u0300":
        return not (before == "\r" and after == "\n")
    if _is_control(before) or _is_control(after):
        return True
    if _extends(after) or before in _PREPENDED or _are_one_syllable(before, after):
        return False
    if _is_regional(before) and _is_regional(after):
        return _regionals_before(text, position) % 2 == 0
    return not _joins(before, after)


def _joins(before: str, after: str) -> bool:
    """A ZWJ holds on to the sign after it, and a virama to the letter after it."""
    if before == _ZWJ:
        return after > "\u007f"
    return unicodedata.combining(before) == _VIRAMA_CLASS and unicodedata.category(after) == "Lo"


def _is_control(character: str) -> bool:
    if character in (_ZWNJ, _ZWJ) or character in _PREPENDED or _is_tag(character):
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def _extends(character: str) -> bool:
    if character in (_ZWNJ, _ZWJ) or character in _THAI_AND_LAO_AM or character in _HALFWIDTH_VOICING:
        return True
    is_skin_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return is_skin_tone or _is_tag(character) or unicodedata.category(character) in ("Mn", "Me", "Mc")


def _is_tag(character: str) -> bool:
    return "\U000e0020" <= character <= "\U000e007f"


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regionals_before(text: str, position: int) -> int:
    start = position
    while start > 0 and _is_regional(text[start - 1]):
        start -= 1
    return position - start


def _are_one_syllable(before: str, after: str) -> bool:
    """Hangul: leading consonant, vowel, trailing consonant (GB6 to GB8)."""
    first, second = _hangul(before), _hangul(after)
    return (first, second) in _SYLLABLES


_SYLLABLES = frozenset(
    tuple(pair.split()) for pair in ("L L", "L V", "L LV", "L LVT", "LV V", "LV T", "V V", "V T", "LVT T", "T T")
)


def _hangul(character: str) -> str:
    if "\uac00" <= character <= "\ud7a3":
        return "LV" if (ord(character) - 0xAC00) % 28 == 0 else "LVT"
    if "\u1100" <= character <= "\u115f" or "\ua960" <= character <= "\ua97c":
        return "L"
    if "\u1160" <= character <= "\u11a7" or "\ud7b0" <= character <= "\ud7c6":
        return "V"
    if "\u11a8" <= character <= "\u11ff" or "\ud7cb" <= character <= "\ud7fb":
        return "T"
    return ""
