"""Splits a growing Markdown text into parts that fit into messages, each a Markdown document of its own.

A closed part never changes while the text grows: a part is closed at the first character that does not fit, and the
cut is chosen from the text before that character. So the same text gives the same parts however the text arrives.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.platform import MessageLimits
from bot.streaming.blocks import (
    BlockReader,
    Fence,
    OpenBlocks,
    is_whole_line,
    measure_closing_prefix,
    measure_fence_run,
    reopen_before_line,
    reopen_inside_line,
)
from bot.streaming.boundaries import (
    LONGEST_FIRST_WORD,
    MessageMeasure,
    TextLine,
    find_best_cut,
    find_early_cut,
    find_first_word,
    find_last_fitting_cut,
)
from bot.streaming.marks import MARK_CHARACTERS, SPOILER, Mark, MarkScanner, Paragraph, PartMarks

_SMALLEST_ROOM = 32
# Room for the ends of the marks that are open at a cut.
_MARKS_ROOM = 12
_CLOSING_LINE = re.compile(r"[ \t>]*(?:`{3,}|~{3,})(?:\|\|)?\Z")
_LEADING_RUN = re.compile(r"[ \t>]*([`~]*)")
_BLOCK_HEAD = re.compile(r"[ \t>#|]|[-*+] |\d{1,9}[.)] |`{3}|~{3}")


@dataclass(frozen=True, slots=True)
class TextPart:
    """One message's share `text[start:end]`.

    `opening` begins again what a cut before has ended: quotes, list items, code, a table's header, marks. `closing`
    ends what the cut behind interrupts.
    """

    start: int
    end: int
    opening: str = ""
    closing: str = ""

    @property
    def head(self) -> str:
        """Return the opening as shown: the text begins on the next line after a whole line, such as a fence."""
        return f"{self.opening}\n" if self.opening and is_whole_line(self.opening) else self.opening

    def render(self, text: str) -> str:
        """Return the text of the message."""
        shown = self.head + text[self.start : self.end]
        if not self.closing:
            return shown
        if _CLOSING_LINE.match(self.closing):
            return shown + self.closing if shown.endswith("\n") else f"{shown}\n{self.closing}"
        # A mark behind white space would end nothing.
        words = shown.rstrip()
        return words + self.closing + shown[len(words) :]

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
        self._has_spoilers = limits.has_spoilers
        self._blocks = BlockReader(self._room // 8, has_spoilers=limits.has_spoilers)
        self._marks_room = min(_MARKS_ROOM, self._room // 8)
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
        marks = PartMarks(lambda: self._scan_marks(text, at, lines, overflow))
        end = self._end(text, at, lines, overflow, marks)
        if end is None:
            return TextPart(
                at.start, max(at.start, len(text)), at.opening, self._close_open_part(at, lines, marks)
            ), False
        opening, closing = self._reopen(text, at, end, lines, overflow, marks)
        self._reopened.append(opening)
        return TextPart(at.start, end, at.opening, closing), True

    def _end(
        self, text: str, at: TextPart, lines: list[TextLine], overflow: int | None, marks: PartMarks
    ) -> int | None:
        """Return the end of a part that has to be closed, None for an open part."""
        end_from = self._ends.get(at.start)
        if self._appends or end_from is not None:
            measure = MessageMeasure(self._size, self._room_of(at), at.head)
            early = find_early_cut(text, at.start, lines, measure, marks, end_from=end_from)
            if early is not None and (overflow is None or early < overflow):
                return early
        if overflow is None:
            return None
        return (
            find_last_fitting_cut(text, at.start, overflow, lines, marks)
            if self._appends
            else find_best_cut(text, at.start, overflow, lines, marks)
        )

    def _room_of(self, at: TextPart) -> int:
        return self._rooms.get(at.start, self._room)

    def _start_of(self, opening: str) -> tuple[OpenBlocks, str]:
        """Return the blocks that an opening opens, and the words of the opening in the first line of the text."""
        *lines, inline = [*opening.split("\n"), ""] if is_whole_line(opening) else opening.split("\n")
        blocks = OpenBlocks()
        for line in lines:
            blocks = self._blocks.read(line, blocks)
        return blocks, inline

    def _read(self, text: str, at: TextPart) -> tuple[list[TextLine], int | None]:
        """Return the lines of one part, and the position of the first character that does not fit, if any."""
        (blocks, inline), room = self._start_of(at.opening), self._room_of(at)
        used, has_marks = self._size(at.head), MARK_CHARACTERS.search(at.opening) is not None
        position = min(at.start, len(text))
        lines: list[TextLine] = []
        while position < len(text):
            # Read at most a message's length of a line.
            line = text[position : text.find("\n", position, position + room) + 1 or position + room + 1]
            fitting = self._fitting(line, blocks.fence, room - used, has_marks=has_marks)
            is_full = fitting < len(line)
            if is_full:
                # Ignore the text after this character: the text may not have arrived yet.
                line = line[: fitting + 1]
            after = self._blocks.read(inline + line, blocks)
            lines.append(TextLine(position, position + len(line), blocks, after))
            position += len(line)
            if is_full:
                return lines, position
            is_code = blocks.fence is not None or after.fence is not None
            has_marks = has_marks or (not is_code and MARK_CHARACTERS.search(line) is not None)
            blocks, inline = after, ""
            used += self._size(line)
        return lines, None

    def _fitting(self, line: str, fence: Fence | None, room: int, *, has_marks: bool) -> int:
        """Return the number of characters of a line that fit together with the closing fence and marks."""
        mark = None if has_marks or fence is not None else MARK_CHARACTERS.search(line, _LEADING_RUN.match(line).end())  # type: ignore[union-attr] # matches every text

        def cost(length: int) -> int:
            needs_marks_room = has_marks or (mark is not None and length > mark.start())
            return (
                self._size(line[:length])
                + self._spare(line, length, fence)
                + (self._marks_room if needs_marks_room else 0)
            )

        if cost(len(line)) <= room:
            return len(line)
        return bisect_right(range(1, len(line) + 1), room, key=cost)

    def _spare(self, line: str, length: int, fence: Fence | None) -> int:
        """Return the room to keep free after `length` characters of a line. Never falls with a growing length."""
        # Inside code, keep room for two closing fences until the line itself may be the closing fence: so the text's
        # own closing fence always fits, and no part begins with a closing fence.
        if fence is None:
            run = measure_fence_run(line, length)
            leading = len(_LEADING_RUN.match(line, 0, length)[1])  # type: ignore[index] # matches every text
            is_fence = run > 0 and len(line[:run].strip(" \t>")) <= self._blocks.longest_run
            return max(run + 1 if is_fence else 0, leading + 1 if 0 < leading <= self._blocks.longest_run else 0)
        closing = self._size(fence.closing) + 1
        return closing if length <= measure_closing_prefix(fence, line) else 2 * closing + 1

    def _scan_marks(self, text: str, at: TextPart, lines: list[TextLine], overflow: int | None) -> list[Mark]:
        """Return the marks of a part, up to the first character that does not fit."""
        end = overflow if overflow is not None else len(text)
        if not MARK_CHARACTERS.search(text, at.start, end) and not at.opening and "[" not in text[at.start : end]:
            return []
        _, inline = self._start_of(at.opening)
        shift = at.start - len(inline)
        before = at.opening[: len(at.opening) - len(inline)]
        scanner = MarkScanner(
            inline + text[at.start : end],
            has_spoilers=self._has_spoilers,
            is_in_spoiler=self._has_spoilers and before.count(SPOILER) % 2 == 1,
        )
        return [mark.move(shift) for mark in scanner.scan(_iterate_paragraphs(lines, shift))]

    def _close_open_part(self, at: TextPart, lines: list[TextLine], marks: PartMarks) -> str:
        """Return what ends an open part: code and spoilers show only as such, also while the text grows."""
        fence = lines[-1].after.fence if lines else self._start_of(at.opening)[0].fence
        closing = fence.closing if fence else ""
        if not self._has_spoilers or not lines:
            return closing
        spoiler = next((mark for mark in marks.find_open(lines[-1].end) if mark.delimiter.startswith(SPOILER)), None)
        if spoiler is None or spoiler.inner == lines[-1].end:
            return closing
        return closing + (SPOILER if closing else spoiler.delimiter[::-1])

    def _reopen(
        self, text: str, at: TextPart, end: int, lines: list[TextLine], overflow: int | None, marks: PartMarks
    ) -> tuple[str, str]:
        """Return the opening of the part after a cut, and the closing of the part before."""
        line = next(line for line in reversed(lines) if line.start < end)
        is_line_cut = line.end == end and text[end - 1] == "\n"
        inline = self._start_of(at.opening)[1] if line is lines[0] else ""
        blocks = line.after if line.end == end else self._blocks.read(inline + text[line.start : end], line.before)
        next_line = find_first_word(text, end) or text[end : end + LONGEST_FIRST_WORD][: (overflow or len(text)) - end]
        open_marks = marks.find_open(end)
        spoiler = SPOILER if any(mark.delimiter.startswith(SPOILER) for mark in open_marks) else ""
        if blocks.fence is not None:
            return self._reopen_fence(blocks.fence, blocks, spoiler, is_line_cut=is_line_cut)
        if is_line_cut:
            head = reopen_before_line(blocks, next_line, self._blocks)
        else:
            head = blocks.table or reopen_inside_line(blocks)
        delimiters = [mark.delimiter.strip() for mark in open_marks]
        if spoiler and (is_whole_line(head) or (is_line_cut and _BLOCK_HEAD.match(next_line))):
            # Blocks begin on a line of their own.
            head, delimiters = f"{SPOILER}\n{head}", []
        elif is_whole_line(head):
            delimiters = []
        while len("".join(delimiters)) > self._marks_room:
            delimiters.pop()
        return self._limit_opening(head, delimiters, spoiler)

    def _reopen_fence(self, fence: Fence, blocks: OpenBlocks, spoiler: str, *, is_line_cut: bool) -> tuple[str, str]:
        is_quoted = ">" in fence.indent
        opening = fence.reopen(self._room // 4)
        if blocks.containers and blocks.containers[0].is_rest_of_message:
            opening = blocks.containers[0].head + opening
        if is_quoted and not is_line_cut:
            opening += f"\n{fence.indent}"
        return (f"{spoiler}\n{opening}" if spoiler else opening), fence.closing + spoiler

    def _limit_opening(self, head: str, delimiters: list[str], spoiler: str) -> tuple[str, str]:
        """Return the opening and the closing, without the blocks or marks that would fill the next message."""
        for blocks, marks in ((head, delimiters), ("", delimiters)):
            opening = blocks + "".join(marks)
            if self._size(opening) <= self._room // 4:
                closing = spoiler if spoiler and not marks else "".join(reversed(marks))
                if spoiler and not blocks and not marks:
                    opening = SPOILER
                return opening, closing
        return "", ""

    def _size(self, text: str) -> int:
        return len(text.encode("utf-8", "surrogatepass")) if self._is_in_bytes else len(text)


def _iterate_paragraphs(lines: list[TextLine], shift: int) -> Iterator[Paragraph]:
    """Yield the ranges of text outside of code whose marks end with the range, as positions less `shift`."""
    start: int | None = None
    for n, line in enumerate(lines):
        if line.before.fence is not None or line.after.fence is not None:
            continue
        if start is None:
            start = line.start - shift if n else 0
        following = lines[n + 1] if n + 1 < len(lines) else None
        if following is not None and following.after.is_continued:
            continue
        yield Paragraph(start, line.end - shift, is_complete=following is not None)
        start = None


def split_text(text: str, limits: MessageLimits, *, reserve: int = 0) -> list[TextPart]:
    """Return the parts of a whole text."""
    return Splitter(limits, reserve=reserve).update(text)
