"""Finds the marks of Markdown inside a paragraph: bold, italic, struck, code and links, and Discord's spoilers.

A subset of CommonMark's rules for delimiter runs, read up to a position beyond which the text may not have arrived: a
mark without its end counts as open there, and as plain text at the end of its paragraph.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

_TOKEN = re.compile(r"\\[!-/:-@\[-`{-~]|`+|\*+|_+|~{2,}|\|\||\[|<(?=[A-Za-z])")
_LINK = re.compile(
    r"\[(?:[^\[\]\\\n]|\\.|\[[^\[\]\n]*\])*\]"
    r"\([ \t]*(?:<[^<>\n]*>|(?:[^()\s\\]|\\.|\([^()\s]*\))*)(?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'))?[ \t]*\)"
)
_ADDRESS = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*:[^<>\s]*>")
_ADDRESS_START = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*(?::[^<>\s]*)?\Z")
_LINK_START = re.compile(r"\[[^\[\]\n]{0,300}(?:\]|\]\((?:[^()\s]|\([^()\s]*(?:\)|\Z)){0,1000})?\Z")
SPOILER = "||"
MARK_CHARACTERS = re.compile(r"[*_~`|]")
_CODE_RUN = re.compile("`+")
_LONGEST_CODE_RUN = 2
# Each run is compared with the open runs before.
_MOST_OPEN_RUNS = 64


class MarkState(Enum):
    """What the text up to the known end says about a mark."""

    CLOSED = "closed"
    OPEN = "open"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Mark:
    """Marked words `text[inner:closing]` between their delimiters, which begin at `start` and end at `end`."""

    delimiter: str
    start: int
    inner: int
    closing: int
    end: int
    state: MarkState = MarkState.CLOSED

    def move(self, by: int) -> "Mark":
        """Return the mark at positions increased by `by`."""
        return Mark(self.delimiter, self.start + by, self.inner + by, self.closing + by, self.end + by, self.state)

    def holds(self, cut: int) -> bool:
        """Return whether a cut falls among the marked words."""
        return self.state is not MarkState.PLAIN and self.inner <= cut <= self.closing

    def list_splitting_spans(self) -> list[tuple[int, int]]:
        """Return the ranges of cuts, with both ends, that leave no marked word on one side or split a delimiter."""
        if self.state is MarkState.PLAIN:
            return []
        if not self.delimiter:
            return [(self.start + 1, self.end - 1)]
        head = (self.start + 1, self.inner)
        return [head, (self.closing, self.end - 1)] if self.state is MarkState.CLOSED else [head]


@dataclass(slots=True)
class _Run:
    """A run of delimiters that may still find its end. `at` and `length` are what is left of the run."""

    sign: str
    at: int
    length: int
    whole_length: int
    can_close: bool


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A range of the text whose marks end with the range; `is_complete` unless the text may go on."""

    start: int
    end: int
    is_complete: bool


class MarkScanner:
    """Scans the paragraphs of one message in order. A spoiler may span several paragraphs."""

    def __init__(self, text: str, *, has_spoilers: bool, is_in_spoiler: bool = False) -> None:
        self._text = text
        self._has_spoilers = has_spoilers
        self._spoiler = Mark(SPOILER, 0, 0, 0, 0) if is_in_spoiler else None
        self._marks: list[Mark] = []

    def scan(self, paragraphs: Iterable[Paragraph]) -> list[Mark]:
        """Return the marks of all paragraphs, in the order of their beginnings."""
        end = 0
        for paragraph in paragraphs:
            self._scan(paragraph)
            end = paragraph.end
        if self._spoiler is not None:
            self._add(self._spoiler.delimiter, self._spoiler.start, self._spoiler.inner, end, end, MarkState.OPEN)
        return sorted(self._marks, key=lambda mark: (mark.start, -mark.end))

    def _add(
        self, delimiter: str, start: int, inner: int, closing: int, end: int, state: MarkState = MarkState.CLOSED
    ) -> None:
        self._marks.append(Mark(delimiter, start, inner, closing, end, state))

    def _scan(self, paragraph: Paragraph) -> None:
        text, at, end = self._text, paragraph.start, paragraph.end
        unfinished = MarkState.PLAIN if paragraph.is_complete else MarkState.OPEN
        runs: list[_Run] = []
        while (token := _TOKEN.search(text, at, end)) is not None:
            sign, at = token[0][0], token.end()
            if sign == "`":
                at = self._read_code(token, paragraph, unfinished)
            elif sign in "[<":
                at = self._read_link(token, paragraph)
            elif token[0] == SPOILER:
                if self._has_spoilers:
                    self._read_spoiler(token, paragraph)
            elif sign in "*_~":
                self._read_run(token, paragraph, runs)
            if len(runs) > _MOST_OPEN_RUNS:
                self._give_up(runs.pop(0), end, unfinished)
        for run in runs:
            self._give_up(run, end, unfinished)
        spoiler = self._spoiler
        if spoiler is not None and paragraph.is_complete and spoiler.delimiter != SPOILER:
            # Spaces on both sides look like an operator: without an end in the paragraph that is all.
            self._spoiler = None

    def _give_up(self, run: _Run, end: int, state: MarkState) -> None:
        is_mark = run.length == 2 if run.sign == "~" else run.length <= 3
        self._add(run.sign * run.length if is_mark else "", run.at, run.at + run.length, end, end, state)

    def _read_code(self, token: re.Match[str], paragraph: Paragraph, unfinished: MarkState) -> int:
        run, at = token[0], token.end()
        # A longer run behind a cut would stand at the head of a line, where a code block begins.
        delimiter = run if len(run) <= _LONGEST_CODE_RUN else ""
        while (other := _CODE_RUN.search(self._text, at, paragraph.end)) is not None:
            if len(other[0]) == len(run):
                self._add(delimiter, token.start(), token.end(), other.start(), other.end())
                return other.end()
            at = other.end()
        self._add(delimiter, token.start(), token.end(), paragraph.end, paragraph.end, unfinished)
        return token.end() if paragraph.is_complete else paragraph.end

    def _read_link(self, token: re.Match[str], paragraph: Paragraph) -> int:
        is_label = token[0] == "["
        link = (_LINK if is_label else _ADDRESS).match(self._text, token.start(), paragraph.end)
        if link is not None:
            # Nothing is opened again for a link: a cut goes before or after.
            self._add("", link.start(), link.start() + 1, link.end() - 1, link.end())
            return link.end()
        begun = _LINK_START if is_label else _ADDRESS_START
        if not paragraph.is_complete and begun.match(self._text, token.start(), paragraph.end):
            self._add("", token.start(), token.end(), paragraph.end, paragraph.end, MarkState.OPEN)
        return token.end()

    def _read_spoiler(self, token: re.Match[str], paragraph: Paragraph) -> None:
        if self._spoiler is None:
            is_spaced = self._is_space(token.start() - 1, paragraph, at_edge=False)
            is_spaced = is_spaced and self._is_space(token.end(), paragraph, at_edge=False)
            self._spoiler = Mark(f"{SPOILER} " if is_spaced else SPOILER, token.start(), token.end(), 0, 0)
        else:
            spoiler, self._spoiler = self._spoiler, None
            self._add(SPOILER, spoiler.start, spoiler.inner, token.start(), token.end())

    def _is_space(self, at: int, paragraph: Paragraph, *, at_edge: bool = True) -> bool:
        return self._text[at].isspace() if paragraph.start <= at < paragraph.end else at_edge

    def _is_punctuation(self, at: int, paragraph: Paragraph) -> bool:
        return paragraph.start <= at < paragraph.end and unicodedata.category(self._text[at])[0] in "PS"

    def _read_run(self, token: re.Match[str], paragraph: Paragraph, runs: list[_Run]) -> None:
        """Close open runs of the same sign, and keep what is left as a run that may be closed later."""
        sign, before, after = token[0][0], token.start() - 1, token.end()
        is_at_end = after == paragraph.end and not paragraph.is_complete
        space_before, space_after = self._is_space(before, paragraph), self._is_space(after, paragraph)
        sign_before, sign_after = self._is_punctuation(before, paragraph), self._is_punctuation(after, paragraph)
        is_left = is_at_end or (not space_after and (not sign_after or space_before or sign_before))
        is_right = not space_before and (not sign_before or space_after or sign_after)
        can_open = is_left and (sign != "_" or not is_right or sign_before)
        can_close = is_right and (sign != "_" or not is_left or sign_after)
        run = _Run(sign, token.start(), len(token[0]), len(token[0]), can_close)
        if can_close:
            self._close_runs(run, runs, can_open=can_open)
        if can_open and run.length:
            runs.append(_Run(sign, run.at, run.length, run.whole_length, can_close))

    def _close_runs(self, run: _Run, runs: list[_Run], *, can_open: bool) -> None:
        while run.length:
            opener = next((one for one in reversed(runs) if _can_pair(one, run, can_open=can_open)), None)
            if opener is None:
                return
            del runs[runs.index(opener) + 1 :]  # unclosed runs between are plain text
            length = 2 if min(opener.length, run.length) >= 2 else 1
            start = opener.at + opener.length - length
            self._add(run.sign * length, start, start + length, run.at, run.at + length)
            opener.length -= length
            run.at, run.length = run.at + length, run.length - length
            if not opener.length:
                runs.remove(opener)


def _can_pair(opener: _Run, closer: _Run, *, can_open: bool) -> bool:
    if opener.sign != closer.sign:
        return False
    if opener.sign == "~":
        return opener.length == closer.length == 2
    # CommonMark's rule of three: `*foo**bar*` holds no bold.
    is_ambiguous = (opener.can_close or can_open) and (opener.whole_length + closer.whole_length) % 3 == 0
    return not is_ambiguous or (opener.whole_length % 3 == 0 and closer.whole_length % 3 == 0)


class PartMarks:
    """The marks of one message. The text is scanned at the first question."""

    def __init__(self, scan: Callable[[], list[Mark]]) -> None:
        self._scan = scan
        self._marks: list[Mark] | None = None
        self._inside: list[tuple[int, int]] = []
        self._splitting: list[tuple[int, int]] = []
        self._reopened: list[tuple[int, int]] = []

    @property
    def marks(self) -> list[Mark]:
        if self._marks is None:
            self._marks = self._scan()
            for mark in self._marks:
                last = mark.end - 1 if mark.state is MarkState.CLOSED else mark.end
                if self._inside and mark.start < self._inside[-1][1]:
                    self._inside[-1] = self._inside[-1][0], max(last, self._inside[-1][1])
                else:
                    self._inside.append((mark.start + 1, last))
            # Merged once: a message of stars has a mark for each third character, and each place is asked for.
            self._splitting = _merge_spans(span for mark in self._marks for span in mark.list_splitting_spans())
            self._reopened = _merge_spans(
                (mark.inner, mark.closing)
                for mark in self._marks
                if mark.delimiter and mark.state is not MarkState.PLAIN
            )
        return self._marks

    def touch(self, cut: int) -> bool:
        """Return whether a cut falls inside a mark, as far as the text before the cut alone says."""
        return bool(self.marks) and _covers(self._inside, cut)

    def forbid(self, cut: int) -> bool:
        """Return whether a cut splits a delimiter or leaves a mark without words."""
        return self.touch(cut) and _covers(self._splitting, cut)

    def has_open(self, cut: int) -> bool:
        """Return whether a cut falls into a mark that can be opened again."""
        return bool(self.marks) and _covers(self._reopened, cut)

    def find_open(self, cut: int) -> list[Mark]:
        """Return the marks that a cut falls into, outermost first, without marks that cannot be opened again."""
        return [mark for mark in self.marks if mark.delimiter and mark.holds(cut)]


def _merge_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the ranges, with both ends, in order and without overlaps. Empty ranges are left out."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(span for span in spans if span[0] <= span[1]):
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _covers(spans: list[tuple[int, int]], cut: int) -> bool:
    n = bisect_right(spans, cut, key=lambda span: span[0]) - 1
    return n >= 0 and cut <= spans[n][1]
