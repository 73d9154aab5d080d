"""Splits a growing Markdown text into parts that fit into messages, each a Markdown document of its own.

A closed part never changes while the text grows: a part is closed at the first character that does not fit, and the
cut is chosen from the text before that character. So the same text gives the same parts however the text arrives.
"""

from bisect import bisect_right
from dataclasses import dataclass

from bot.core.platform import MessageLimits
from bot.streaming.boundaries import (
    Fence,
    MessageMeasure,
    TextLine,
    find_best_cut,
    find_early_cut,
    find_fence_after_line,
    find_last_fitting_cut,
    measure_closing_prefix,
    measure_fence_run,
    parse_opening_fence,
)

_SMALLEST_ROOM = 32


@dataclass(frozen=True, slots=True)
class TextPart:
    """One message's share `text[start:end]`, with a fence reopened before and closed after the text, if any."""

    start: int
    end: int
    opening: str = ""
    closing: str = ""

    def render(self, text: str) -> str:
        """Return the text of the message."""
        shown = f"{self.opening}\n{text[self.start : self.end]}" if self.opening else text[self.start : self.end]
        if not self.closing:
            return shown
        return shown + self.closing if shown.endswith("\n") else f"{shown}\n{self.closing}"

    def is_blank(self, text: str) -> bool:
        """Return whether the part is white space alone, which platforms refuse as a message."""
        return not text[self.start : self.end].strip()


class Splitter:
    """Splits one growing text again and again, and reads only the text of the open part.

    After a restart `start` and `opening` continue the open part. `reserve` is left free in each message, in the unit of
    the limits. An append-only platform's part is closed before the message is full. Raise `ValueError` for limits that
    leave too little room.
    """

    def __init__(self, limits: MessageLimits, *, reserve: int = 0, start: int = 0, opening: str = "") -> None:
        self._room = limits.max_length - reserve
        if self._room < _SMALLEST_ROOM:
            raise ValueError(f"a message of {self._room} is too small to split a text into")
        self._is_in_bytes = limits.is_length_in_bytes
        self._appends = limits.is_append_only
        self._longest_run = self._room // 8
        self._first = TextPart(start, start, opening)
        self._closed: list[TextPart] = []
        self._reopened: list[str] = []
        self._closed_text = ""
        self._rooms: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._last: tuple[str, list[TextPart]] | None = None

    def narrow(self, start: int, *, room: int | None = None, end_from: int | None = None) -> bool:
        """Limit the part that begins at `start`: to `room`, or to end at the first good cut from `end_from` on.

        Return whether the limit is new. Later parts are split again.
        """
        known = (self._rooms.get(start), self._ends.get(start))
        if room is not None:
            self._rooms[start] = max(_SMALLEST_ROOM, min(room, self._room))
        if end_from is not None:
            self._ends.setdefault(start, end_from)
        if known == (self._rooms.get(start), self._ends.get(start)):
            return False
        self._last = None
        kept = sum(part.start < start for part in self._closed)
        del self._closed[kept:], self._reopened[kept:]
        self._closed_text = self._closed_text[: self._closed[-1].end] if self._closed else ""
        return True

    def count_unsplit(self, text: str) -> int:
        """Return how many characters `update` would read."""
        if self._last is not None and self._last[0] == text:
            return 0
        return len(text) - (len(self._closed_text) if text.startswith(self._closed_text) else 0)

    def update(self, text: str) -> list[TextPart]:
        """Return all parts since `start`: the closed parts, then the open part, which may be empty.

        A text that does not continue the closed parts is split from the beginning.
        """
        if self._last is not None and self._last[0] == text:
            return self._last[1]
        if not text.startswith(self._closed_text):
            self._closed, self._reopened, self._closed_text = [], [], ""
        while True:
            at = self._next_part()
            part, is_closed = self._take_part(text, at)
            if not is_closed:
                self._last = text, [*self._closed, part]
                return self._last[1]
            self._closed.append(part)
            self._closed_text = text[: part.end]

    def _next_part(self) -> TextPart:
        """Return the start of the part after the closed parts."""
        if not self._closed:
            return self._first
        last = self._closed[-1]
        return TextPart(last.end, last.end, self._reopened[-1])

    def _take_part(self, text: str, at: TextPart) -> tuple[TextPart, bool]:
        """Return the part that begins at `at`, and whether the part is closed."""
        lines, overflow = self._read(text, at)
        end = self._end(text, at, lines, overflow)
        if end is None:
            fence = lines[-1].fence if lines else self._fence_of(at.opening)
            return TextPart(at.start, max(at.start, len(text)), at.opening, fence.closing if fence else ""), False
        fence = self._fence_at(text, end, lines)
        self._reopened.append(fence.reopen(self._room // 4) if fence else "")
        return TextPart(at.start, end, at.opening, fence.closing if fence else ""), True

    def _end(self, text: str, at: TextPart, lines: list[TextLine], overflow: int | None) -> int | None:
        """Return the end of a part that has to be closed, None for an open part."""
        end_from = self._ends.get(at.start)
        if self._appends or end_from is not None:
            measure = MessageMeasure(self._size, self._room_of(at), at.opening)
            early = find_early_cut(text, at.start, lines, measure, end_from=end_from)
            if early is not None and (overflow is None or early < overflow):
                return early
        if overflow is None:
            return None
        return (
            find_last_fitting_cut(text, at.start, overflow, lines)
            if self._appends
            else find_best_cut(text, at.start, overflow, lines)
        )

    def _room_of(self, at: TextPart) -> int:
        return self._rooms.get(at.start, self._room)

    def _read(self, text: str, at: TextPart) -> tuple[list[TextLine], int | None]:
        """Return the lines of one part, and the position of the first character that does not fit, if any."""
        fence, room = self._fence_of(at.opening), self._room_of(at)
        used = self._size(at.opening) + 1 if at.opening else 0
        position = min(at.start, len(text))
        lines: list[TextLine] = []
        while position < len(text):
            # Read at most a message's length of a line.
            line = text[position : text.find("\n", position, position + room) + 1 or position + room + 1]
            fitting = self._fitting(line, fence, room - used)
            is_full = fitting < len(line)
            if is_full:
                # Ignore the text after this character: the text may not have arrived yet.
                line = line[: fitting + 1]
            lines.append(
                TextLine(position, position + len(line), fence, find_fence_after_line(line, fence, self._longest_run))
            )
            position += len(line)
            if is_full:
                return lines, position
            fence = lines[-1].fence
            used += self._size(line)
        return lines, None

    def _fitting(self, line: str, fence: Fence | None, room: int) -> int:
        """Return the number of characters of a line that fit together with the closing fence."""

        def cost(length: int) -> int:
            return self._size(line[:length]) + self._spare(line, length, fence)

        if cost(len(line)) <= room:
            return len(line)
        return bisect_right(range(1, len(line) + 1), room, key=cost)

    def _spare(self, line: str, length: int, fence: Fence | None) -> int:
        """Return the room to keep free after `length` characters of a line. Never falls with a growing length."""
        # Inside code, keep room for two closing fences until the line itself may be the closing fence: so the text's
        # own closing fence always fits, and no part begins with a closing fence.
        if fence is None:
            run = measure_fence_run(line, length)
            return run + 1 if run > 0 and len(line[:run].strip()) <= self._longest_run else 0
        closing = self._size(fence.closing) + 1
        return closing if length <= measure_closing_prefix(fence, line) else 2 * closing + 1

    def _fence_at(self, text: str, end: int, lines: list[TextLine]) -> Fence | None:
        """Return the open fence at a cut, which ends the line at the cut."""
        line = next(line for line in reversed(lines) if line.start < end)
        return (
            line.fence
            if line.end == end
            else find_fence_after_line(text[line.start : end], line.before, self._longest_run)
        )

    def _fence_of(self, opening: str) -> Fence | None:
        return parse_opening_fence(opening, self._longest_run) if opening else None

    def _size(self, text: str) -> int:
        return len(text.encode("utf-8", "surrogatepass")) if self._is_in_bytes else len(text)


def split_text(text: str, limits: MessageLimits, *, reserve: int = 0) -> list[TextPart]:
    """Return the parts of a whole text."""
    return Splitter(limits, reserve=reserve).update(text)
