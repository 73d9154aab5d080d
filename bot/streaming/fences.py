"""Code fences of Markdown: which line opens one, which closes it, and how one is reopened.

As CommonMark has them (``` or ~~~, three or more, closed by at least as many of the same), but with any indentation:
answers put code under list items, and Discord and Slack know no indentation at all. Lines end with a newline, perhaps
after a carriage return; `harmless` leaves no other line ends.
"""

import re
from dataclasses import dataclass

_OPENING = re.compile(r"([ \t]*)(`{3,}|~{3,})([^\n]*)")


@dataclass(frozen=True, slots=True)
class Fence:
    """An open code block: what stands before its run, the run itself, and the words after it."""

    indent: str
    run: str
    info: str

    @property
    def closing(self) -> str:
        return self.indent + self.run

    def reopen(self, room: int) -> str:
        """The line that opens it again at the head of a message, at most `room` code points where words can go.

        Indented by three at most: a message has no list item around it.
        """
        head = self.indent[:3] + self.run
        language = self.info.split()[0] if self.info.strip() else ""
        for info in (self.info.rstrip(), language):
            if len(head) + len(info) <= room:
                return head + info
        return head


def parse_opening_fence(line: str, longest_run: int) -> Fence | None:
    """The fence this line opens outside of code, if any. Longer runs than `longest_run` are taken for a drawing."""
    match = _OPENING.match(line)
    if match is None or len(match[2]) > longest_run:
        return None
    if match[2][0] == "`" and "`" in match[3]:
        return None
    return Fence(match[1], match[2], match[3])


def is_closed_by(fence: Fence, line: str) -> bool:
    """Whether this line ends the code block."""
    run = line.rstrip(" \t\r\n").lstrip(" \t")
    return len(run) >= len(fence.run) and run == fence.run[0] * len(run)


def find_fence_after_line(line: str, fence: Fence | None, longest_run: int) -> Fence | None:
    """The open fence after a line, given the one before it."""
    if fence is None:
        return parse_opening_fence(line, longest_run)
    return None if is_closed_by(fence, line) else fence


def measure_fence_run(line: str, length: int) -> int:
    """How long the indentation and run are that the first `length` characters of a line show; 0 for no fence."""
    match = _OPENING.match(line, 0, length)
    return len(match[1]) + len(match[2]) if match else 0


def measure_closing_prefix(fence: Fence, line: str) -> int:
    """How many characters of a line could still become the closing fence."""
    match = re.match(rf"[ \t]*{re.escape(fence.run[0])}*[ \t]*", line)
    return match.end() if match else 0
