"""Where to end a message that is appended to: before it is full, and never before what it shows already.

The first place counts that is good enough for how full the message is there. What comes after it does not count, so
the same text is cut alike however it arrives, and nothing beyond the cut was shown before it was found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.streaming.boundaries import Level, Line, inner_cuts, last_inner_cut, line_cut

# How full a message must be for such a place to end it.
_FULL_ENOUGH = {Level.BLOCK: 0.8, Level.LINE: 0.87, Level.CODE_LINE: 0.9, Level.SENTENCE: 0.95, Level.WORD: 0.98}
# How many characters a message that must end soon waits for a better place than this.
_PATIENCE = {Level.BLOCK: 0, Level.LINE: 0, Level.CODE_LINE: 0, Level.SENTENCE: 200, Level.WORD: 600}


@dataclass(frozen=True, slots=True)
class Measure:
    """How much of a message's room a text takes, `opening` included."""

    size: Callable[[str], int]
    room: int
    opening: str

    def fill(self, used: int, text: str) -> float:
        return (used + self.size(text)) / self.room

    @property
    def at_first(self) -> int:
        return self.size(self.opening) + 1 if self.opening else 0


def early_cut(text: str, start: int, lines: list[Line], measure: Measure, *, end_from: int | None) -> int | None:
    """The first good place, or the first from `end_from` on; None while there is none."""
    first = start + len(text[start:]) - len(text[start:].lstrip())  # a part must not be blank
    used = measure.at_first
    for line in lines:
        whole = measure.fill(used, text[line.start : line.end])
        for level, cut in _cuts(text, line, is_near=whole >= _FULL_ENOUGH[Level.SENTENCE], end_from=end_from):
            if first < cut < len(text) and _ends_here(level, cut, text, line, used, measure, end_from):
                return cut
        used += measure.size(text[line.start : line.end])
    return None


def last_fitting(text: str, start: int, overflow: int, lines: list[Line]) -> int:
    """The last place before `overflow`: nothing better came in time."""
    return last_inner_cut(text[:overflow], start, lines)


def _cuts(text: str, line: Line, *, is_near: bool, end_from: int | None) -> Iterator[tuple[Level, int]]:
    """The places of one line in order; those inside it only where the message is nearly full or must end."""
    if is_near or (end_from is not None and line.end > end_from):
        yield from inner_cuts(text, line)
    at_end = line_cut(text, line)
    if at_end is not None:
        yield at_end


def _ends_here(
    level: Level, cut: int, text: str, line: Line, used: int, measure: Measure, end_from: int | None
) -> bool:
    # Whether a line begins an item is seen only from what follows, which may not be there yet.
    level = Level.LINE if level is Level.ITEM else level
    if level is Level.LINE and text[cut] in "\r\n":
        return False  # the end of the block comes right after
    if end_from is not None and cut >= end_from + _PATIENCE[level]:
        return True
    return measure.fill(used, text[line.start : cut]) >= _FULL_ENOUGH[level]
