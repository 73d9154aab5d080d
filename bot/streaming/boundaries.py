"""Finds the best place to end a message: between blocks, else lines, sentences, words, never inside a character.

An open code block is closed before the end and reopened in the next message. Fences are as in CommonMark (``` or ~~~,
three or more, closed by at least as many of the same), but with any indentation: answers put code under list items, and
Discord and Slack ignore indentation. Lines end with a newline, perhaps after a carriage return: `sanitize_text` removes
all other line ends.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from bot.streaming.graphemes import is_boundary

_OPENING = re.compile(r"([ \t]*)(`{3,}|~{3,})([^\n]*)")


@dataclass(frozen=True, slots=True)
class Fence:
    """An open code block: the indentation, the run of ` or ~, and the info string after the run."""

    indent: str
    run: str
    info: str

    @property
    def closing(self) -> str:
        return self.indent + self.run

    def reopen(self, room: int) -> str:
        """Return the line that reopens the block at the head of a message, in `room` code points if possible."""
        # CommonMark takes a fence indented by four or more for code, and a new message has no list item around it.
        head = self.indent[:3] + self.run
        language = self.info.split()[0] if self.info.strip() else ""
        for info in (self.info.rstrip(), language):
            if len(head) + len(info) <= room:
                return head + info
        return head


def parse_opening_fence(line: str, longest_run: int) -> Fence | None:
    """Return the fence that a line outside of code opens, if any. A run beyond `longest_run` counts as a drawing."""
    match = _OPENING.match(line)
    if match is None or len(match[2]) > longest_run:
        return None
    if match[2][0] == "`" and "`" in match[3]:
        return None
    return Fence(match[1], match[2], match[3])


def is_closed_by(fence: Fence, line: str) -> bool:
    """Return whether a line ends the code block."""
    run = line.rstrip(" \t\r\n").lstrip(" \t")
    return len(run) >= len(fence.run) and run == fence.run[0] * len(run)


def find_fence_after_line(line: str, fence: Fence | None, longest_run: int) -> Fence | None:
    """Return the open fence after a line, given the open fence before the line."""
    if fence is None:
        return parse_opening_fence(line, longest_run)
    return None if is_closed_by(fence, line) else fence


def measure_fence_run(line: str, length: int) -> int:
    """Return the length of indentation and run in the first `length` characters of a line, 0 without a fence."""
    match = _OPENING.match(line, 0, length)
    return len(match[1]) + len(match[2]) if match else 0


def measure_closing_prefix(fence: Fence, line: str) -> int:
    """Return the number of leading characters that could still become the closing fence."""
    match = re.match(rf"[ \t]*{re.escape(fence.run[0])}*[ \t]*", line)
    return match.end() if match else 0


_BLOCK_START = re.compile(r"[ \t]*(?:[-*+] |\d{1,9}[.)] |#{1,6} |>|`{3}|~{3})")
# No cut before more white space than this: a search for the end of each run would take quadratic time.
_LOOKS_LIKE_FENCE = re.compile(r"[ \t]{0,63}[`~]|[ \t]{64}")
_SENTENCE_END = re.compile(r".*(?:[.!?…][\"'”’»)\]*_]*\s|[。！？])$", re.DOTALL)
_LONGEST_SENTENCE_END = 12


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a text with its line end; `before` and `fence` are the open fences before and after the line."""

    start: int
    end: int
    before: Fence | None
    fence: Fence | None

    @property
    def is_fence(self) -> bool:
        return self.before is not self.fence


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


def find_best_cut(text: str, start: int, overflow: int, lines: list[TextLine]) -> int:
    """Return the end of a part that begins at `start`: past `start`, and before `overflow` if possible.

    The text before `overflow` fits into the message. The text after `overflow` is not read: it may not have arrived.
    """
    text = text[:overflow]
    best = _find_last_of_each_level(text, start, lines)
    for level, fill in _FILL.items():
        if best.get(level, start) - start >= fill * (overflow - start):
            return best[level]
    for level in _FILL:
        if level in best:
            return best[level]
    return find_last_inner_cut(text, start, lines)


def _find_last_of_each_level(text: str, start: int, lines: list[TextLine]) -> dict[BoundaryLevel, int]:
    first = start + len(text[start:]) - len(text[start:].lstrip())  # a part must not be blank
    found: dict[BoundaryLevel, int] = {}
    for level, cut in (*_iterate_line_cuts(text, lines), *_iterate_word_cuts(text, lines)):
        if first < cut < len(text):
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
    if line.fence is not None:
        # A cut after the opening line would show an empty block.
        return None if line.is_fence else (BoundaryLevel.CODE_LINE, line.end)
    if line.is_fence or not text[line.start : line.end].strip():
        return BoundaryLevel.BLOCK, line.end
    return BoundaryLevel.ITEM if _BLOCK_START.match(text, line.end) else BoundaryLevel.LINE, line.end


def iterate_inner_cuts(text: str, line: TextLine) -> Iterator[tuple[BoundaryLevel, int]]:
    """Yield the boundaries inside a line, first to last."""
    if line.is_fence:
        return
    for cut in range(line.start + 1, min(line.end, len(text))):
        level = _level_inside(text, line, cut)
        if level is not None:
            yield level, cut


def _iterate_word_cuts(text: str, lines: list[TextLine]) -> Iterator[tuple[BoundaryLevel, int]]:
    """Yield the last sentence end and the last space of each line."""
    for line in lines:
        if line.is_fence:
            continue
        found = set[BoundaryLevel]()
        for cut in _cuts_inside(text, line):
            level = _level_inside(text, line, cut)
            if level is not None and level not in found:
                found.add(level)
                yield level, cut
            if BoundaryLevel.SENTENCE in found:
                break


def _cuts_inside(text: str, line: TextLine) -> Iterable[int]:
    return range(min(line.end, len(text)) - 1, line.start, -1)


def _level_inside(text: str, line: TextLine, cut: int) -> BoundaryLevel | None:
    before = text[max(line.start, cut - _LONGEST_SENTENCE_END) : cut]
    if line.before is None and _SENTENCE_END.match(before):
        level = BoundaryLevel.SENTENCE
    elif before[-1].isspace() and not text[cut].isspace():
        level = BoundaryLevel.WORD
    else:
        return None
    return level if _is_inner_cut(text, cut) else None


def find_last_inner_cut(text: str, start: int, lines: list[TextLine]) -> int:
    """Return a cut inside a word: after the last grapheme cluster that fits, else after the last code point."""
    in_fences = [range(line.start + 1, line.end) for line in lines if line.is_fence]
    for cut in range(len(text) - 1, start, -1):
        if _is_inner_cut(text, cut) and not any(cut in fence for fence in in_fences):
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
# Characters that a message which must end soon waits for a better boundary.
_WAIT_CHARACTERS = {
    BoundaryLevel.BLOCK: 0,
    BoundaryLevel.LINE: 0,
    BoundaryLevel.CODE_LINE: 0,
    BoundaryLevel.SENTENCE: 200,
    BoundaryLevel.WORD: 600,
}


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
    text: str, start: int, lines: list[TextLine], measure: MessageMeasure, *, end_from: int | None
) -> int | None:
    """Return the first good cut, or the first cut from `end_from` on; None if the text has no such cut yet."""
    first = start + len(text[start:]) - len(text[start:].lstrip())  # a part must not be blank
    used = measure.opening_size
    for line in lines:
        whole = measure.fill(used, text[line.start : line.end])
        for level, cut in _iterate_cuts(
            text, line, is_near=whole >= _FULL_ENOUGH[BoundaryLevel.SENTENCE], end_from=end_from
        ):
            if first < cut < len(text) and _ends_here(level, cut, text, line, used, measure, end_from):
                return cut
        used += measure.size(text[line.start : line.end])
    return None


def find_last_fitting_cut(text: str, start: int, overflow: int, lines: list[TextLine]) -> int:
    """Return the last cut before `overflow`, for a message without a better boundary."""
    return find_last_inner_cut(text[:overflow], start, lines)


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
