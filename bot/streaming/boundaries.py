"""Finds the best place to end a message: between blocks, else lines, sentences, words, never inside a character.

Bold words, code, links and other marks stay whole where a good place is left outside of them.

Graphemes, which readers see as one character, follow a subset of UAX #29 (extended grapheme clusters) on `unicodedata`
alone: combining marks, emoji joined by ZWJ, skin tones, tag flags, regional indicators, variation selectors, Hangul
syllables, prepended signs, Indic conjuncts and CRLF. The standard also needs tables that Python lacks (emoji, scripts
with conjuncts). In doubt the answer is "no boundary": the search may miss a place to cut, and never splits a cluster.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from bot.streaming.blocks import OpenBlocks, may_be_divider
from bot.streaming.marks import MARK_CHARACTERS, PartMarks

# Graphemes.

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


# Ends of messages.

_BLOCK_START = re.compile(r"[ \t]*(?:[-*+] |\d{1,9}[.)] |#{1,6} |>|`{3}|~{3})")
# No cut before more white space than this: a search for the end of each run would take quadratic time.
_LOOKS_LIKE_FENCE = re.compile(r"[ \t]{0,63}[`~]|[ \t]{64}")
_BLOCK_OR_INDENT = re.compile(rf"[ \t]|{_BLOCK_START.pattern}")
_LINE_HEAD = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]+[ \t>]*)*")
LONGEST_FIRST_WORD = 200
_FIRST_WORD = re.compile(r"[ \t]*[^ \t\n]+[ \t\n]|[ \t]*\n")
_FULL_WIDTH_ENDS = "。！？"
_SENTENCE_END = re.compile(rf".*(?:[.!?…][\"'”’»)\]*_]*\s|[{_FULL_WIDTH_ENDS}])$", re.DOTALL)
_LONGEST_SENTENCE_END = 12


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a text with its line end, and the blocks that are open before and after the line."""

    start: int
    end: int
    before: OpenBlocks
    after: OpenBlocks

    @property
    def is_fence(self) -> bool:
        return self.before.fence is not self.after.fence

    @property
    def is_divider(self) -> bool:
        """Whether the line divides a table's header from its rows."""
        return bool(self.after.table) and self.after.table != self.before.table


class BoundaryLevel(IntEnum):
    """Kinds of boundaries, best first."""

    BLOCK = 0
    ITEM = 1
    LINE = 2
    CODE_LINE = 3
    SENTENCE = 4
    WORD = 5


# Share of the message that a cut must fill to be taken at once: a good boundary far up wastes the message.
_FILL = {
    BoundaryLevel.BLOCK: 0.5,
    BoundaryLevel.ITEM: 0.5,
    BoundaryLevel.LINE: 0.4,
    BoundaryLevel.CODE_LINE: 0.4,
    BoundaryLevel.SENTENCE: 0.4,
    BoundaryLevel.WORD: 0.25,
}


# The same share for a cut that leaves all marks whole.
_WHOLE_MARKS_FILL = 0.5


def find_best_cut(text: str, start: int, overflow: int, lines: list[TextLine], marks: PartMarks) -> int:
    """Return the end of a part that begins at `start`: past `start`, and before `overflow` if possible.

    The text before `overflow` fits into the message. The text after `overflow` is not read: it may not have arrived.
    """
    text = text[:overflow]
    if marks.marks:
        whole = _find_last_of_each_level(text, start, lines, lambda cut: not marks.touch(cut))
        for level, fill in _FILL.items():
            if whole.get(level, start) - start >= max(fill, _WHOLE_MARKS_FILL) * (overflow - start):
                return whole[level]
    best = _find_last_of_each_level(text, start, lines, lambda cut: can_reopen(text, cut, marks))
    for level, fill in _FILL.items():
        if best.get(level, start) - start >= fill * (overflow - start):
            return best[level]
    for level in _FILL:
        if level in best:
            return best[level]
    return find_last_inner_cut(text, start, lines, marks)


def can_reopen(text: str, cut: int, marks: PartMarks) -> bool:
    """Return whether the marks that are open at a cut can be opened again before the text behind the cut."""
    if not marks.touch(cut):
        return True
    # Before a line of a quote or a list, the marks would stand before the line's own beginning.
    is_before_block = text[cut - 1] == "\n" and _BLOCK_OR_INDENT.match(text, cut)
    # Marks begin nothing before white space, and join other marks.
    is_unfit = is_before_block or text[cut].isspace() or MARK_CHARACTERS.match(text, cut)
    return not marks.forbid(cut) and not (is_unfit and marks.has_open(cut))


def _find_last_of_each_level(
    text: str, start: int, lines: list[TextLine], is_allowed: Callable[[int], bool]
) -> dict[BoundaryLevel, int]:
    first = start + len(text[start:]) - len(text[start:].lstrip())  # a part must not be blank
    found: dict[BoundaryLevel, int] = {}
    for level, cut in (*_iterate_line_cuts(text, lines), *_iterate_word_cuts(text, lines, is_allowed)):
        if first < cut < len(text) and is_allowed(cut):
            found[level] = max(cut, found.get(level, 0))
    return found


def _iterate_line_cuts(text: str, lines: list[TextLine]) -> Iterator[tuple[BoundaryLevel, int]]:
    for line in lines:
        if (cut := find_line_cut(text, line)) is not None:
            yield cut


def find_line_cut(text: str, line: TextLine) -> tuple[BoundaryLevel, int] | None:
    """Return the boundary at the end of a line, if text follows."""
    if line.end >= len(text) or text[line.end - 1] != "\n" or not is_boundary(text, line.end):
        return None
    if line.after.fence is not None:
        # A cut after the opening line would show an empty block.
        return None if line.is_fence else (BoundaryLevel.CODE_LINE, line.end)
    next_line = text[line.end : text.find("\n", line.end) + 1 or len(text)]
    if line.is_divider or (line.after.header and may_be_divider(next_line)):
        return None
    if (line.after.containers or line.after.table) and not find_first_word(text, line.end):
        return None  # the beginning of the next line decides what is opened again
    is_blank = not text[line.start : line.end].strip()
    # An indented line belongs to a list item before, which a cut would have to begin again.
    if next_line[0] in " \t":
        return BoundaryLevel.LINE, line.end
    if line.is_fence or is_blank:
        return BoundaryLevel.BLOCK, line.end
    return BoundaryLevel.ITEM if _BLOCK_START.match(text, line.end) else BoundaryLevel.LINE, line.end


def iterate_inner_cuts(text: str, line: TextLine) -> Iterator[tuple[BoundaryLevel, int]]:
    """Yield the boundaries inside a line, first to last."""
    if line.is_fence or line.is_divider:
        return
    for cut in range(_find_words(text, line) + 1, min(line.end, len(text))):
        level = _level_inside(text, line, cut)
        if level is not None:
            yield level, cut


def _iterate_word_cuts(
    text: str, lines: list[TextLine], is_allowed: Callable[[int], bool]
) -> Iterator[tuple[BoundaryLevel, int]]:
    """Yield the last sentence end and the last space of each line that are allowed."""
    for line in lines:
        if line.is_fence or line.is_divider:
            continue
        found = set[BoundaryLevel]()
        for cut in _cuts_inside(text, line):
            level = _level_inside(text, line, cut)
            if level is not None and level not in found and is_allowed(cut):
                found.add(level)
                yield level, cut
            if BoundaryLevel.SENTENCE in found:
                break


def _cuts_inside(text: str, line: TextLine) -> Iterable[int]:
    return range(min(line.end, len(text)) - 1, _find_words(text, line), -1)


def _find_words(text: str, line: TextLine) -> int:
    """Return the beginning of the words of a line, behind quote marks, list markers and the marks of a heading."""
    return line.start if line.before.fence is not None else _LINE_HEAD.match(text, line.start, line.end).end()  # type: ignore[union-attr] # matches every text


def _level_inside(text: str, line: TextLine, cut: int) -> BoundaryLevel | None:
    last = text[cut - 1]
    if not last.isspace() and last not in _FULL_WIDTH_ENDS:  # most characters: two tests for each of a long text
        return None
    before = text[max(line.start, cut - _LONGEST_SENTENCE_END) : cut]
    if line.before.fence is None and _SENTENCE_END.match(before):
        level = BoundaryLevel.SENTENCE
    elif last.isspace() and not text[cut].isspace():
        level = BoundaryLevel.WORD
    else:
        return None
    return level if _is_inner_cut(text, cut) else None


def _find_whole_range(text: str, line: TextLine, following: TextLine | None) -> range:
    """Return where a line takes no cut: inside a fence, in and below a table's header, and before the first word."""
    if line.after.header and following is not None and may_be_divider(text[following.start : following.end]):
        return range(line.start + 1, line.end + 1)
    if line.is_divider or (line.before.header and may_be_divider(text[line.start : line.end])):
        return range(line.start, line.end + 1)
    return range(line.start + 1, line.end if line.is_fence else _find_words(text, line) + 1)


def find_first_word(text: str, at: int) -> str:
    """Return the beginning of a line up to the end of its first word; empty if the word may go on."""
    found = _FIRST_WORD.match(text, at, at + LONGEST_FIRST_WORD)
    return found[0] if found else ""


def find_last_inner_cut(
    text: str, start: int, lines: list[TextLine], marks: PartMarks, *, window: int | None = None
) -> int:
    """Return a cut inside a word: after the last grapheme cluster that fits, else after the last code point.

    Lines and marks are kept whole by a cut up to `window` characters before the end, by default anywhere.
    """
    kept = [_find_whole_range(text, *pair) for pair in zip(lines, [*lines[1:], None], strict=True)]
    for cut in range(len(text) - 1, start if window is None else max(start, len(text) - 1 - window), -1):
        is_free = text[cut] not in " \n" and not any(cut in whole for whole in kept)
        if is_free and _is_inner_cut(text, cut) and can_reopen(text, cut, marks):
            return cut
    for cut in range(len(text) - 1, start, -1):
        if is_boundary(text, cut):
            return cut
    return max(len(text) - 1, start + 1)


def _is_inner_cut(text: str, cut: int) -> bool:
    """Return whether a line may be cut: the rest must not become a fence at the head of the next message."""
    return is_boundary(text, cut) and not _LOOKS_LIKE_FENCE.match(text, cut)


# An appended message ends before it is full, at the first boundary that is good enough for the fill level there. Later
# text does not count: the same text is cut alike however the text arrives, and no text beyond the cut was shown before.

# Fill level of a message at which a boundary ends the message.
_FULL_ENOUGH = {
    BoundaryLevel.BLOCK: 0.8,
    BoundaryLevel.LINE: 0.87,
    BoundaryLevel.CODE_LINE: 0.9,
    BoundaryLevel.SENTENCE: 0.95,
    BoundaryLevel.WORD: 0.98,
}
_FULL_INSIDE_MARK = 0.985
# Characters that a message which must end soon waits for a better boundary.
_WAIT_CHARACTERS = {
    BoundaryLevel.BLOCK: 0,
    BoundaryLevel.LINE: 0,
    BoundaryLevel.CODE_LINE: 0,
    BoundaryLevel.SENTENCE: 200,
    BoundaryLevel.WORD: 600,
}
# Characters beyond a cut that were shown before, at most, to keep a link, a mark or a fence's line whole: also at most
# half of the message. An appended text cannot be taken back, and the next message repeats these characters.
_MAX_SHOWN_BEYOND_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class MessageMeasure:
    """Measures the share of a message's room that a text fills, `opening` included."""

    size: Callable[[str], int]
    room: int
    opening: str

    def fill(self, used: int, text: str) -> float:
        return (used + self.size(text)) / self.room

    @property
    def opening_size(self) -> int:
        return self.size(self.opening) + 1 if self.opening else 0


def find_early_cut(
    text: str, start: int, lines: list[TextLine], measure: MessageMeasure, marks: PartMarks, *, end_from: int | None
) -> int | None:
    """Return the first good cut, or the first cut from `end_from` on; None if the text has no such cut yet."""
    first = start + len(text[start:]) - len(text[start:].lstrip())  # a part must not be blank
    used = measure.opening_size
    for line in lines:
        whole = measure.fill(used, text[line.start : line.end])
        for level, cut in _iterate_cuts(
            text, line, is_near=whole >= _FULL_ENOUGH[BoundaryLevel.SENTENCE], end_from=end_from
        ):
            if not (first < cut < len(text) and _ends_here(level, cut, text, line, used, measure, end_from)):
                continue
            if not marks.touch(cut) or (
                _ends_marked_text(measure.fill(used, text[line.start : cut]), cut, end_from)
                and can_reopen(text, cut, marks)
            ):
                return cut
        used += measure.size(text[line.start : line.end])
    return None


def _ends_marked_text(fill: float, cut: int, end_from: int | None) -> bool:
    """Return whether a message may end inside a mark: the mark is not waited for any longer."""
    is_late = end_from is not None and cut >= end_from + _WAIT_CHARACTERS[BoundaryLevel.WORD]
    return is_late or fill >= _FULL_INSIDE_MARK


def find_last_fitting_cut(text: str, start: int, overflow: int, lines: list[TextLine], marks: PartMarks) -> int:
    """Return the last cut before `overflow`, for a message without a better boundary."""
    window = min((overflow - start) // 2, _MAX_SHOWN_BEYOND_CHARACTERS)
    return find_last_inner_cut(text[:overflow], start, lines, marks, window=window)


def _iterate_cuts(
    text: str, line: TextLine, *, is_near: bool, end_from: int | None
) -> Iterator[tuple[BoundaryLevel, int]]:
    """Yield the boundaries of a line in order; inside the line only if the message is nearly full or must end."""
    if is_near or (end_from is not None and line.end > end_from):
        yield from iterate_inner_cuts(text, line)
    at_end = find_line_cut(text, line)
    if at_end is not None:
        yield at_end


def _ends_here(
    level: BoundaryLevel, cut: int, text: str, line: TextLine, used: int, measure: MessageMeasure, end_from: int | None
) -> bool:
    # An item is recognised only by the next line, which may not have arrived yet: count it as a plain line.
    level = BoundaryLevel.LINE if level is BoundaryLevel.ITEM else level
    if level is BoundaryLevel.LINE and text[cut] in "\r\n":
        return False  # the better boundary, the end of the block, follows directly
    if end_from is not None and cut >= end_from + _WAIT_CHARACTERS[level]:
        return True
    return measure.fill(used, text[line.start : cut]) >= _FULL_ENOUGH[level]
