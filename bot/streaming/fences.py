"""Code fences of Markdown: lines that open and close a code block, and the line that reopens a block.

As in CommonMark (``` or ~~~, three or more, closed by at least as many of the same), but with any indentation: answers
put code under list items, and Discord and Slack ignore indentation. Lines end with a newline, perhaps after a carriage
return: `sanitize_text` removes all other line ends.
"""

import re
from dataclasses import dataclass

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
