"""Where to end a message that is appended to: before it is full, and never before what it shows already.

The first place counts that is good enough for how full the message is there. What comes after it does not count, so
the same text is cut alike however it arrives, and nothing beyond the cut was shown before it was found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.streaming.boundaries import BoundaryLevel, TextLine, find_last_inner_cut, find_line_cut, iterate_inner_cuts

# How full a message must be for such a place to end it.
_FULL_ENOUGH = {
    BoundaryLevel.BLOCK: 0.8,
    BoundaryLevel.LINE: 0.87,
    BoundaryLevel.CODE_LINE: 0.9,
    BoundaryLevel.SENTENCE: 0.95,
    BoundaryLevel.WORD: 0.98,
}
# How many characters a message that must end soon waits for a better place than this.
_WAIT_CHARACTERS = {
    BoundaryLevel.BLOCK: 0,
    BoundaryLevel.LINE: 0,
    BoundaryLevel.CODE_LINE: 0,
    BoundaryLevel.SENTENCE: 200,
    BoundaryLevel.WORD: 600,
}


@dataclass(frozen=True, slots=True)
class MessageMeasure:
    """How much of a message's room a text takes, `opening` included."""

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
    """The first good place, or the first from `end_from` on; None while there is none."""
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
    """The last place before `overflow`: nothing better came in time."""
    return find_last_inner_cut(text[:overflow], start, lines)


def _iterate_cuts(
    text: str, line: TextLine, *, is_near: bool, end_from: int | None
) -> Iterator[tuple[BoundaryLevel, int]]:
    """The places of one line in order; those inside it only where the message is nearly full or must end."""
    if is_near or (end_from is not None and line.end > end_from):
        yield from iterate_inner_cuts(text, line)
    at_end = find_line_cut(text, line)
    if at_end is not None:
        yield at_end


def _ends_here(
    level: BoundaryLevel, cut: int, text: str, line: TextLine, used: int, measure: MessageMeasure, end_from: int | None
) -> bool:
    # Whether a line begins an item is seen only from what follows, which may not be there yet.
    level = BoundaryLevel.LINE if level is BoundaryLevel.ITEM else level
    if level is BoundaryLevel.LINE and text[cut] in "\r\n":
        return False  # the end of the block comes right after
    if end_from is not None and cut >= end_from + _WAIT_CHARACTERS[level]:
        return True
    return measure.fill(used, text[line.start : cut]) >= _FULL_ENOUGH[level]
