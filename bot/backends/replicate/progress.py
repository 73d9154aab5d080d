"""How far a model is, read from the bar that tqdm draws into its logs."""

import re

_BAR = re.compile(r"^\s*(\d+)%\s*\|.+?\|\s*\d+/\d+")
_LINE_END = re.compile(r"[\r\n]+")
_TAIL_CHARACTERS = 8_192


def parse_percent(logs: str) -> int | None:
    """The newest bar's percentage, 0 to 100; None without a bar.

    tqdm redraws its line with \\r, which newer Cog servers keep, so a "line" ends there too. Only the end of long
    logs is read.
    """
    lines = _LINE_END.split(logs[-_TAIL_CHARACTERS:])
    if len(logs) > _TAIL_CHARACTERS:
        lines = lines[1:]  # its beginning is cut off: "100%" may read "0%"
    for line in reversed(lines):
        if bar := _BAR.match(line):
            return min(int(bar[1]), 100)
    return None
