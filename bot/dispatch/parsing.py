"""Typed text into a call: `/imagine a red fox --count 2 --seed=7`.

Quotes group words, a dash inside the prompt stays a dash, smart quotes and the em dash that phones make of two
hyphens are understood, and everything after a lone `--` is words.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from bot.core.errors import BadOption, UnknownName
from bot.dispatch.declaration import Command, Declaration, Option, OptionKind, OptionValue

Menu = Sequence[type[Command]]

_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»"}
_FLAG = re.compile(r"(?:--|—|–)([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)


_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """What was typed, split but not yet checked: see `forms.fill`."""

    command: str
    options: Mapping[str, OptionValue]


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    is_quoted: bool


def find_command(menu: Menu, name: str) -> type[Command]:
    """The command of that name; raises `UnknownName` with the nearest, or `BadOption` with the verbs of a group."""
    wanted = " ".join(name.lower().split())
    for form in menu:
        if form.declaration.name == wanted:
            return form
    names = [form.declaration.name for form in menu]
    if wanted and (verbs := [name for name in names if name.startswith(f"{wanted} ")]):
        raise BadOption(f"/{wanted} needs one more word: {', '.join(f'/{verb}' for verb in verbs)}.")
    raise UnknownName("command", name, names, advice="Try /help.")


def parse_command(text: str, menu: Menu) -> ParsedCommand:
    """Split `/name words --option value …`; raises `UnknownName` or `BadOption`. The longest name wins."""
    name, rest = _split_name(text.lstrip().removeprefix("/"), menu)
    form = find_command(menu, name)
    return ParsedCommand(form.declaration.name, parse_options(rest, form.declaration))


def _split_name(text: str, menu: Menu) -> tuple[str, str]:
    """The words that name a command, and what follows them; of a group's, also a verb that it does not have."""
    names = {form.declaration.name_parts for form in menu}
    typed = list(islice(_WORD.finditer(text), max(map(len, names), default=1)))
    said = tuple(word[0].lower() for word in typed)
    for n in range(len(typed), 0, -1):
        is_group = any(name[:n] == said[:n] for name in names)
        if said[:n] in names or is_group:
            n += 0 if said[:n] in names or n == len(typed) else 1
            return " ".join(said[:n]), text[typed[n - 1].end() :].lstrip()
    return (typed[0][0], "") if typed else ("", "")


def parse_options(text: str, declaration: Declaration) -> dict[str, OptionValue]:
    """Split what follows a command's name into its options."""
    words = _words(text)
    options: dict[str, OptionValue] = {}
    spans: list[tuple[int, int]] = []
    i = 0
    while i < len(words):
        word = words[i]
        if word.text == "--" and not word.is_quoted:
            spans.append((words[i + 1].start, len(text)) if i + 1 < len(words) else (len(text), len(text)))
            break
        flag = _flag(word, declaration)
        if flag is None:
            spans.append((word.start, word.end))
            i += 1
            continue
        option = _option(flag[1], declaration)
        taken, options[option.name] = _value(option, flag[2], words[i + 1 :], declaration)
        i += 1 + taken
    _put_free(text, spans, declaration, options)
    return options


def _flag(word: _Word, declaration: Declaration) -> re.Match[str] | None:
    """An option's name, perhaps with its value. A long dash is one only before a known name: else it is prose."""
    match = None if word.is_quoted else _FLAG.fullmatch(word.text)
    is_prose = match is not None and not word.text.startswith("--") and declaration.option(match[1].lower()) is None
    return None if is_prose else match


def _option(name: str, declaration: Declaration) -> Option:
    wanted = name.lower().replace("-", "_")
    if (option := declaration.option(wanted)) is not None:
        return option
    known = [option.name for option in declaration.options]
    how = f"/{declaration.name} takes {', '.join(known)}." if known else f"/{declaration.name} takes no options."
    raise UnknownName(f"option of /{declaration.name}", name, known, advice=how)


def _value(
    option: Option, inline: str | None, following: list[_Word], declaration: Declaration
) -> tuple[int, OptionValue]:
    """How many following words the value takes, and the value."""
    if inline is not None:
        return 0, _unquoted(inline)
    if option.kind is OptionKind.FLAG:
        named = following and following[0].text.lower() in ("true", "false", "yes", "no", "on", "off")
        return (1, following[0].text) if named else (0, True)
    if not following or _flag(following[0], declaration) is not None:
        raise BadOption(f"--{option.name} needs a value: {option.question}", option=option.name)
    return 1, _unquoted(following[0].text)


def _unquoted(text: str) -> str:
    closing = _QUOTES.get(text[:1])
    return text[1:-1] if closing and len(text) > 1 and text.endswith((closing, text[0])) else text


def _words(text: str) -> list[_Word]:
    """Words with where they stand; a quoted run is one word, a quote that never closes is just a sign."""
    words: list[_Word] = []
    unclosed: set[str] = set()
    i = 0
    while i < len(text):
        if text[i].isspace():
            i += 1
            continue
        end = _word_end(text, i, unclosed)
        words.append(_Word(text[i:end], i, end, text[i] in _QUOTES and end - i > 1 and text[i:end] != text[i]))
        i = end
    return words


def _word_end(text: str, start: int, unclosed: set[str]) -> int:
    """`unclosed` collects quotes that close nowhere in the rest of the text: nobody looks for their end again."""
    i = start
    while i < len(text) and not text[i].isspace():
        opens_value = i == start or text[i - 1] == "="
        if text[i] in _QUOTES and opens_value and text[i] not in unclosed:
            close = _closing(text, i)
            if close >= 0:
                i = close
            else:
                unclosed.add(text[i])
        i += 1
    return i


def _closing(text: str, start: int) -> int:
    """Where the quote opened at `start` closes, or -1. A closing quote ends a word."""
    for i in range(start + 1, len(text)):
        if text[i] in (_QUOTES[text[start]], text[start]) and (i + 1 == len(text) or text[i + 1].isspace()):
            return i
    return -1


def _free_words(text: str, spans: list[tuple[int, int]]) -> str:
    """The words that belong to no option, with the spaces and line breaks between them kept."""
    parts: list[str] = []
    last = -1
    for start, end in spans:
        gap = text[last:start] if last >= 0 else ""
        parts.append(gap if gap.isspace() or not gap else " ")
        parts.append(text[start:end])
        last = end
    return "".join(parts).strip()


def _put_free(
    text: str, spans: list[tuple[int, int]], declaration: Declaration, options: dict[str, OptionValue]
) -> None:
    """Words that follow no option: all to the option made for words, else one to each option not given yet."""
    if declaration.words_option is not None and spans:
        words, name = _free_words(text, spans), declaration.words_option.name
        if name in options:
            raise BadOption(f"You gave {name} twice: as “{options[name]}” and as “{words}”.", option=name)
        options[name] = _unquoted(words) if _is_one_quoted(words) else words
        return
    free = [option for option in declaration.options if option.name not in options]
    if len(spans) > len(free):
        extra = text[spans[len(free)][0] : spans[-1][1]]
        raise BadOption(f"I do not know what to do with “{extra}” in /{declaration.name}. /help shows its options.")
    for option, (start, end) in zip(free, spans, strict=False):
        options[option.name] = _unquoted(text[start:end])


def _is_one_quoted(words: str) -> bool:
    return words[:1] in _QUOTES and _closing(words, 0) == len(words) - 1
