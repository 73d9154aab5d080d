"""Model text made harmless to show, whatever the platform: it turns no direction and hides nothing.

Pings and links are each platform's own business. Works on the whole text each time, and a longer text only adds to
what a shorter one gave, so it can be used while words stream in.
"""

import re
import unicodedata

# Gone altogether: controls (with them terminal escapes), bidi marks and overrides, and signs nobody can see.
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    r"\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0080-\U000e00ff\U000e01f0-\U000e0fff]+"
)
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
# Tags spell the flags of regions after a black flag; anywhere else they are writing nobody sees.
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
    """The text without direction controls, terminal escapes and hidden writing; emoji and scripts stay whole.

    Line ends become newlines, lone surrogates U+FFFD, and at most eight accents are piled on one letter.
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
    # A carriage return at the very end may be half of a line end that is still to come.
    return "" if match[0] == "\r" and match.end() == len(match.string) else "\n"


def _flag_or_nothing(match: re.Match[str]) -> str:
    return match[0] if match[0][0] == "\U0001f3f4" else ""


def _keep_needed_joiners(match: re.Match[str]) -> str:
    """Of a run of joiners and variation selectors: the first selector, and a joiner where writing needs one."""
    run = match[0]
    selector = run[0] if run[0] not in "\u200c\u200d" else ""
    joiner = next((character for character in run if character in "\u200c\u200d"), "")
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return selector + (joiner if _takes_joiner(before) and _takes_joiner(after) else "")


def _takes_joiner(character: str) -> bool:
    """Emoji, and letters and marks of scripts that join (from Hebrew to Mongolian and what lies between)."""
    if not character:
        return False
    is_joining = "\u0590" <= character <= "\u1cff" or character >= "\ua800"
    kind = unicodedata.category(character)
    return kind in ("So", "Sk") or (is_joining and kind[0] in "LM") or character in "♀♂⚕⚖✈❤➡↔↕"
