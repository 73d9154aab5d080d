"""Finds grapheme boundaries: places at which a cut does not split a character that readers see as one.

A subset of UAX #29 (extended grapheme clusters) on `unicodedata` alone: combining marks, emoji joined by ZWJ, skin
tones, tag flags, regional indicators, variation selectors, Hangul syllables, prepended signs, Indic conjuncts and CRLF.
The standard also needs tables that Python lacks (emoji, scripts with conjuncts). In doubt the answer is "no boundary":
the search may miss a place to cut, and never splits a cluster.
"""

import unicodedata

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_VIRAMA_CLASS = 9
_MAX_REGIONALS = 1024
_PREPENDED = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2\U000111c3"
    "\U0001193f\U00011941\U00011a3a\U00011a84\U00011a85\U00011a86\U00011a87\U00011a88\U00011a89\U00011d46\U00011f02"
)
_THAI_AND_LAO_AM = frozenset("\u0e33\u0eb3")
_HALFWIDTH_VOICING = frozenset("\uff9e\uff9f")


def is_boundary(text: str, position: int) -> bool:
    """Return whether a cut before `text[position]` splits no grapheme cluster. Both ends of a text are boundaries."""
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
    return not _joins(text, position)


def _joins(text: str, position: int) -> bool:
    """Return whether a ZWJ joins the next sign (GB11), or a virama the next letter, also across marks (GB9c)."""
    if text[position - 1] == _ZWJ:
        return text[position] > "\u007f"
    if unicodedata.category(text[position]) != "Lo":
        return False
    while position > 0 and _extends(text[position - 1]):
        position -= 1
        if unicodedata.combining(text[position]) == _VIRAMA_CLASS:
            return True
    return False


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
    # A run longer than this is no row of flags: counting the whole run at each place would take quadratic time.
    first = max(0, position - _MAX_REGIONALS)
    while start > first and _is_regional(text[start - 1]):
        start -= 1
    return position - start


def _are_one_syllable(before: str, after: str) -> bool:
    """Return whether two Hangul signs belong to one syllable: leading consonant, vowel, trailing (GB6 to GB8)."""
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
