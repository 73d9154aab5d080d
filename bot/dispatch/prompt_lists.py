r"""Reads several prompts from the words of one request: a prompt in each line, or choices such as `{red|blue} fox`.

A choice stands in braces, with two options or more between bars, on one line and without quotes or braces inside:
JSON and a brace alone are ordinary words. `\{` and `\}` write braces that belong to the prompt, `\|` a bar.

A text to speak that is longer than a model takes becomes parts that end with a sentence.
"""

import re
from collections.abc import Sequence
from itertools import product
from math import prod

from bot.streaming.graphemes import is_boundary

_ESCAPE = re.compile(r"\\([{}|])")
_ESCAPED_BRACE = re.compile(r"\\([{}])")
_PART = re.compile(r"\\[{}|]|[{}]|[^\\{}]+|\\")
_BAR = re.compile(r"(?<!\\)\|")
# Without repetitions of the marks: a search for the end of each of 10,000 dots would take quadratic time.
_SENTENCE_END = re.compile(
    r"""(?<=[.!?…])["'”’»)\]*_]{0,4}(?=\s)|(?<=[。！？])[」』”’]{0,4}(?![。！？」』”’])|(?=\n)"""
)
_LIST_MARK = re.compile(r"(?:[-*•]|\d{1,3}[.)])\s+")


def split_lines(text: str) -> list[str]:
    """Return the prompts in the lines of a text, without the marks of a list."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if all(_LIST_MARK.match(line) for line in lines):
        return [_LIST_MARK.sub("", line, count=1) for line in lines]
    return lines


def count_prompts(lines: Sequence[str]) -> int:
    """Return the number of prompts that `expand_prompts` makes, without making them."""
    return sum(prod(len(choices) for choices in _list_choices(line)) for line in lines)


def expand_prompts(lines: Sequence[str]) -> list[str]:
    """Return a prompt for each combination of the choices in each line; the last choice changes first."""
    return [
        " ".join("".join(chosen).split()) if len(choices) > 1 else chosen[0]
        for line in lines
        for choices in [_list_choices(line)]
        for chosen in product(*choices)
    ]


def _list_choices(line: str) -> list[list[str]]:
    """Return the parts of a line in order, each with its options: words outside of choices have one."""
    parts, words, depth = _PART.findall(line), "", 0
    choices: list[list[str]] = []
    i = 0
    while i < len(parts):
        options = _read_choice(parts, i) if parts[i] == "{" and depth == 0 else []
        if options:
            choices += [[words], options]
            words = ""
            i += next(n for n in range(i, len(parts)) if parts[n] == "}") - i + 1
            continue
        depth = max(0, depth + {"{": 1, "}": -1}.get(parts[i], 0))
        words += parts[i]
        i += 1
    escape = _ESCAPE if choices else _ESCAPED_BRACE
    return [[escape.sub(r"\1", option) for option in options] for options in [*choices, [words]]]


def _read_choice(parts: Sequence[str], start: int) -> list[str]:
    """Return the options between the brace at `start` and the next one; none where that is not a choice."""
    content = ""
    for part in parts[start + 1 :]:
        if part == "{":
            return []
        if part == "}":
            options = [option.strip() for option in _BAR.split(content)]
            return options if len(options) > 1 and all(options) and '"' not in content else []
        content += part
    return []


def split_sentences(text: str, max_characters: int) -> list[str]:
    """Return the parts of a text, each as long as fits: up to the last sentence that fits, or else the last word.

    Only white space between parts is left out; no part ends inside a grapheme cluster that fits into a part.
    """
    parts, rest = [], text.strip()
    while len(rest) > max_characters:
        cut = _find_cut(rest, max_characters)
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*parts, rest]


def _find_cut(text: str, most: int) -> int:
    """Return where a part of at most `most` characters ends: never at 0. The text is longer, and begins with a word."""
    ends = [end.end() for end in _SENTENCE_END.finditer(text, 0, most + 1) if end.end() <= most]
    if ends and ends[-1]:
        return ends[-1]
    # A space at `most` itself ends a word that fits.
    spaces = (at for at in range(most, 0, -1) if text[at].isspace())
    inner = (at for at in range(most, 0, -1) if is_boundary(text, at))
    return next(spaces, None) or next(inner, most)
