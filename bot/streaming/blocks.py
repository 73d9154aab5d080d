"""Reads the blocks of Markdown line by line: quotes, lists, tables and code that are open, and how each is reopened.

As in CommonMark and GitHub's tables, with two exceptions. Fences (``` or ~~~, three or more, closed by at least as many
of the same) may have any indentation: answers put code under list items, and Discord and Slack ignore indentation. And
`>>> ` quotes the rest of a message where the platform has spoilers, which is Discord. Lines end with a newline, perhaps
after a carriage return: `sanitize_text` removes all other line ends.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})([^\n]*)")
_QUOTE = re.compile(r" {0,3}> ?")
_OPEN_QUOTE = re.compile(r">>> ")
_ITEM = re.compile(r"( {0,3})([-*+]|\d{1,9}[.)])( {1,4}(?! )| (?= {4})|(?=\r?\n|$))")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*\r?\n?$")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+")
_DIVIDER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\r?\n?$")
_DIVIDER_START = re.compile(r"[ \t>]*[|:-][\s|:-]*$")
# Invisible words of a reopened list item, for its line must not be blank; `sanitize_text` removes such signs of models.
_NO_WORDS = "\u200b"
_WHOLE_FENCE = re.compile(r"[ \t>]*(?:`{3,}[^`]*|~{3,}.*)\Z")
_FENCE_RUN = re.compile(r"([ \t>]*)(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Fence:
    """An open code block: the indentation or quote marks before, the run of ` or ~, and the info string after."""

    indent: str
    run: str
    info: str

    @property
    def closing(self) -> str:
        return self.indent + self.run

    def reopen(self, room: int) -> str:
        """Return the line that reopens the block at the head of a message, in `room` code points if possible."""
        # CommonMark takes a fence indented by four or more for code, and a new message has no list item around it.
        head = (self.indent if ">" in self.indent else self.indent[:3]) + self.run
        language = self.info.split()[0] if self.info.strip() else ""
        for info in (self.info.rstrip(), language):
            if len(head) + len(info) <= room:
                return head + info
        return head


@dataclass(frozen=True, slots=True)
class Container:
    """A quote or a list item around lines. Lines of an item are indented by `width`."""

    indent: int = 0
    marker: str = ">"
    width: int = 0

    @property
    def is_item(self) -> bool:
        return not self.marker.startswith(">")

    @property
    def is_rest_of_message(self) -> bool:
        return self.marker == ">>>"

    @property
    def head(self) -> str:
        """Return the container's beginning in its first line."""
        return f"{' ' * self.indent}{self.marker}".ljust(self.width) if self.is_item else f"{self.marker} "


@dataclass(frozen=True, slots=True)
class OpenBlocks:
    """The blocks that are open at the end of a line."""

    containers: tuple[Container, ...] = ()
    fence: Fence | None = None
    table: str = ""
    """The header and the divider of an open table."""
    header: str = ""
    """The line, if a divider behind it would begin a table."""
    heading: str = ""
    """The marks of the line's own heading."""
    is_paragraph: bool = False
    is_continued: bool = False
    """Whether the line goes on with the paragraph of the line before."""


@dataclass(frozen=True, slots=True)
class BlockReader:
    """Reads lines one after another. A fence longer than `longest_run` counts as a drawing."""

    longest_run: int
    has_spoilers: bool = False

    def read(self, line: str, before: OpenBlocks) -> OpenBlocks:
        """Return the blocks that are open after a line. The line may be cut anywhere."""
        fence = before.fence
        if fence is not None and not (">" in fence.indent and not line.lstrip(" ").startswith(">")):
            return replace(before, fence=None, is_paragraph=False) if is_closed_by(fence, line) else before
        containers, rest = self.match(line, before.containers)
        open_before = len(containers)
        containers, rest = self._enter(containers, rest, before)
        if opened := self._open_fence(line, rest, containers):
            return OpenBlocks(containers, opened)
        if not rest.strip():
            return OpenBlocks(containers)
        if heading := _HEADING.match(rest):
            return OpenBlocks(containers, heading=heading[0].lstrip(" "))
        if _RULE.match(rest):
            return OpenBlocks(containers)
        is_new = len(containers) > open_before
        # A line of words goes on with a paragraph also without the marks of quotes and the indentation of items.
        is_lazy = before.is_paragraph and not is_new and open_before < len(before.containers)
        if is_lazy and (not self.has_spoilers or all(one.is_item for one in before.containers)):
            containers = before.containers
        return self._read_words(line, rest, before, containers, is_new=is_new)

    def _read_words(
        self, line: str, rest: str, before: OpenBlocks, containers: tuple[Container, ...], *, is_new: bool
    ) -> OpenBlocks:
        is_same = containers == before.containers and not is_new
        if before.table and is_same:
            return OpenBlocks(containers, table=before.table)
        if before.header and is_same and "|" in rest and _DIVIDER.match(rest):
            return OpenBlocks(containers, table=f"{before.header}\n{line.rstrip()}")
        return OpenBlocks(
            containers,
            header=line.rstrip("\r\n") if "|" in rest else "",
            is_paragraph=True,
            is_continued=is_same and before.is_paragraph,
        )

    def match(self, line: str, containers: Sequence[Container]) -> tuple[tuple[Container, ...], str]:
        """Return the containers that go on in a line, and the line's text inside."""
        rest = line.expandtabs(4) if "\t" in line else line
        for n, container in enumerate(containers):
            if container.is_rest_of_message:
                continue
            if container.is_item:
                if rest.strip() and len(rest) - len(rest.lstrip(" ")) < container.width:
                    return tuple(containers[:n]), rest
                rest = rest[container.width :] if rest.strip() else rest
            elif (quote := _QUOTE.match(rest)) is not None:
                rest = rest[quote.end() :]
            else:
                return tuple(containers[:n]), rest
        return tuple(containers), rest

    def _enter(
        self, containers: tuple[Container, ...], rest: str, before: OpenBlocks
    ) -> tuple[tuple[Container, ...], str]:
        """Return the containers with those that begin in this line, and the text inside."""
        has_unmatched_item = any(one.is_item for one in before.containers[len(containers) :])
        while len(containers) < _MAX_CONTAINERS:
            if self.has_spoilers and not containers and (quote := _OPEN_QUOTE.match(rest)):
                containers += (Container(marker=">>>"),)
            elif (quote := _QUOTE.match(rest)) is not None:
                containers += (Container(),)
            elif (item := _ITEM.match(rest)) is not None and not _RULE.match(rest):
                interrupts = before.is_paragraph and len(containers) == len(before.containers)
                if interrupts and not has_unmatched_item and (not item[3] or item[2][:-1] not in ("", "1")):
                    break
                quote = item
                containers += (Container(len(item[1]), item[2], len(item[1]) + len(item[2]) + (len(item[3]) or 1)),)
            else:
                break
            rest = rest[quote.end() :]
        return containers, rest

    def _open_fence(self, line: str, rest: str, containers: tuple[Container, ...]) -> Fence | None:
        match = _FENCE.match(rest)
        if match is None or len(match[2]) > self.longest_run or (match[2][0] == "`" and "`" in match[3]):
            return None
        before = line[: line.find(match[2])]
        if ">" in before and not (containers and containers[0].is_rest_of_message):
            return Fence(before, match[2], match[3])
        return Fence(before if not before.strip() else " " * len(before), match[2], match[3])


# More quotes and lists inside each other are no text for people: the rest counts as words.
_MAX_CONTAINERS = 12


def find_fence_after_line(line: str, fence: Fence | None, longest_run: int) -> Fence | None:
    """Return the open fence after a line, given the open fence before the line, without regard to other blocks."""
    return BlockReader(longest_run).read(line, OpenBlocks(fence=fence)).fence


def is_closed_by(fence: Fence, line: str) -> bool:
    """Return whether a line ends the code block."""
    before = " \t>" if ">" in fence.indent else " \t"
    run = line.rstrip(" \t\r\n").lstrip(before)
    return len(run) >= len(fence.run) and run == fence.run[0] * len(run)


def measure_fence_run(line: str, length: int) -> int:
    """Return the length of indentation and run in the first `length` characters of a line, 0 without a fence."""
    match = _FENCE_RUN.match(line, 0, length)
    return len(match[1]) + len(match[2]) if match else 0


def measure_closing_prefix(fence: Fence, line: str) -> int:
    """Return the number of leading characters that could still become the closing fence."""
    before = "[ \t>]*" if ">" in fence.indent else "[ \t]*"
    match = re.match(rf"{before}{re.escape(fence.run[0])}*[ \t]*", line)
    return match.end() if match else 0


def may_be_divider(line: str) -> bool:
    """Return whether the beginning of a line may become the divider below a table's header."""
    return _DIVIDER_START.match(line) is not None


def is_whole_line(opening: str) -> bool:
    """Return whether the text begins on the line after an opening: after a fence, a table's divider or an item."""
    last = opening.rpartition("\n")[2]
    return bool(last.endswith(_NO_WORDS) or _WHOLE_FENCE.match(last) or ("|" in last and _DIVIDER.match(last)))


def reopen_inside_line(blocks: OpenBlocks) -> str:
    """Return the opening for the rest of a line: its quotes, its list items and its heading."""
    return _format_items(blocks.containers, is_last_open=True) + blocks.heading


def reopen_before_line(blocks: OpenBlocks, line: str, reader: BlockReader) -> str:
    """Return the opening before a line, which may be cut: what the line's own beginning does not say."""
    after = reader.read(line, blocks)
    known = len(_common(blocks.containers, after.containers))
    kept = blocks.containers[:known]
    matched, _ = reader.match(line, blocks.containers)
    if len(matched) < known or any(one.is_rest_of_message for one in kept):
        return _format_items(kept, is_last_open=True)  # words without the marks of the line before
    while kept and not kept[-1].is_item:
        kept = kept[:-1]
    items = f"{_format_items(kept, is_last_open=False)}" if kept and line.strip() else ""
    table = blocks.table if blocks.table and after.table else ""
    return "\n".join(part for part in (items, table) if part)


def _common(one: Sequence[Container], other: Sequence[Container]) -> list[Container]:
    same = []
    for first, second in zip(one, other, strict=False):
        if first is not second:
            break
        same.append(first)
    return same


def _format_items(containers: Sequence[Container], *, is_last_open: bool) -> str:
    """Return the lines that begin the containers: a line for each list item, the last one for more text if open."""
    lines, prefix = [], ""
    for n, container in enumerate(containers):
        is_last = n == len(containers) - 1
        if not container.is_item or (is_last and is_last_open):
            prefix += container.head
        else:
            lines.append(f"{prefix}{container.head}{_NO_WORDS}")
            prefix += " " * container.width
    return "\n".join([*lines, prefix] if is_last_open else lines)
