r"""Parse typed text: a command such as `/imagine a red fox --count 2 --seed=7`, several prompts, sentences, and wishes.

Quotes group words, a dash inside the prompt stays a dash, and the text after a lone `--` is words. Phones write smart
quotes, and a long dash for two hyphens: both count as the plain characters.

Each line may be a prompt, or a prompt holds choices such as `{red|blue} fox`: two options or more between bars, on one
line and without quotes or braces inside. JSON and a brace alone are ordinary words. `\{` and `\}` write braces that
belong to the prompt, `\|` a bar. A text to speak that is longer than a model takes becomes parts that end with a
sentence.

A wish asks for a change of a picture: "make it winter", "the second one, but wide", "undo". Everything else said about
a picture is talk: a wish is only what can hardly be anything else.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from math import prod

from bot.core.errors import BadOption, UnknownName
from bot.core.limits import MAX_PROMPT_CHARACTERS
from bot.core.text import mend_text
from bot.dispatch.declaration import Command, Declaration, Option, OptionKind, OptionValue
from bot.streaming.boundaries import is_boundary

Menu = Sequence[type[Command]]

_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»"}
# A long dash, or two to four dashes of any kind: phones turn each hyphen, or each pair, into another sign.
_DASH, _LONG_DASH = r"[\-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]", r"[\u2012-\u2015\u2212\ufe58]"
_FLAG = re.compile(rf"(?:{_DASH}{{2,4}}|{_LONG_DASH})([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
_PLAIN_FLAG = re.compile(r"--(?!-)")
_WORD = re.compile(r"\S+")
_WORD_STOP = re.compile(rf"\s|(?<==)[{''.join(_QUOTES)}]")
"""The end of a word, or a quote that may open a value inside the word."""


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """A command with the typed values of its options; `forms.fill_form` checks the values."""

    command: str
    options: Mapping[str, OptionValue]
    named_options: frozenset[str] = frozenset()
    """The options that the text names with dashes; free words fill the others."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    is_quoted: bool


def find_command(menu: Menu, name: str) -> type[Command]:
    """Return the command with a name.

    Raise `UnknownName` with the nearest name, or `BadOption` with the commands of a group for the name of a group.
    """
    wanted = " ".join(name.lower().split())
    for form in menu:
        if form.declaration.name == wanted:
            return form
    names = [form.declaration.name for form in menu]
    if wanted and (verbs := [name for name in names if name.startswith(f"{wanted} ")]):
        raise BadOption(f"/{wanted} needs one more word: {', '.join(f'/{verb}' for verb in verbs)}.")
    raise UnknownName("command", name, names, advice="Try /help.")


def parse_command(text: str, menu: Menu) -> ParsedCommand:
    """Parse `/name words --option value …`; the longest name wins. Raise `UnknownName` or `BadOption`."""
    name, rest = _split_name(mend_text(text).lstrip().removeprefix("/"), menu)
    form = find_command(menu, name)
    options, named_options = _parse_options(rest, form.declaration)
    return ParsedCommand(form.declaration.name, options, named_options)


@lru_cache(maxsize=16)
def _list_names(menu: tuple[type[Command], ...]) -> tuple[frozenset[tuple[str, ...]], frozenset[tuple[str, ...]]]:
    """Return the words of the commands' names, and all beginnings of these; menus stay while the bot runs."""
    names = frozenset(form.declaration.name_parts for form in menu)
    return names, frozenset(name[:n] for name in names for n in range(1, len(name) + 1))


def _split_name(text: str, menu: Menu) -> tuple[str, str]:
    """Return the name of a command and the text after the name; in a group the name includes an unknown verb."""
    names, beginnings = _list_names(tuple(menu))
    typed = list(islice(_WORD.finditer(text), max(map(len, names), default=1)))
    words = tuple(word[0].lower() for word in typed)
    for n in range(len(typed), 0, -1):
        if words[:n] in beginnings:
            # "/quota gramt": keep the second word, for an error with the nearest command of the group.
            n += 0 if words[:n] in names or n == len(typed) else 1
            return " ".join(words[:n]), text[typed[n - 1].end() :].lstrip()
    return (typed[0][0], "") if typed else ("", "")


def _parse_options(text: str, declaration: Declaration) -> tuple[dict[str, OptionValue], frozenset[str]]:
    """Return the values of options in the text after a command's name, and the names typed with dashes."""
    words = split_words(mend_text(text))
    options: dict[str, OptionValue] = {}
    spans: list[tuple[int, int]] = []
    i = 0
    while i < len(words):
        word = words[i]
        if word.text == "--" and not word.is_quoted:
            # Text after "--" stays verbatim: "/imagine -- --count is a word".
            spans.append((words[i + 1].start, len(text)) if i + 1 < len(words) else (len(text), len(text)))
            break
        flag = _match_flag(word, declaration)
        if flag is None:
            spans.append((word.start, word.end))
            i += 1
            continue
        option = _find_option(flag[1], declaration)
        name = _choose_name(option, flag[1], options)
        word_count, options[name] = _read_value(option, flag[2], words[i + 1 :], declaration)
        i += 1 + word_count
    named_options = frozenset(options)
    _assign_free_words(text, spans, declaration, options)
    return options, named_options


def _match_flag(word: _Word, declaration: Declaration) -> re.Match[str] | None:
    """Match the name of an option, perhaps with a value. Other dashes than `--` before an unknown name are prose."""
    match = None if word.is_quoted else _FLAG.fullmatch(word.text)
    # Phones turn "--count" into "—count"; "a castle —ruined—" is prose with the same dash.
    is_known = match is not None and declaration.option(_normalize_name(match[1])) is not None
    is_prose = match is not None and not is_known and not _PLAIN_FLAG.match(word.text)
    return None if is_prose else match


def _find_option(name: str, declaration: Declaration) -> Option:
    if (option := declaration.option(_normalize_name(name))) is not None:
        return option
    known = [option.name for option in declaration.options]
    advice = f"/{declaration.name} takes {', '.join(known)}." if known else f"/{declaration.name} takes no options."
    raise UnknownName(f"option of /{declaration.name}", name, known, advice=advice)


def _normalize_name(name: str) -> str:
    return name.lower().replace("-", "_")


def _choose_name(option: Option, flag: str, options: Mapping[str, OptionValue]) -> str:
    """Return the name of a value: a repeated `--image` gives the next file of an option for several files."""
    if not option.is_list:
        return option.name
    if (wanted := _normalize_name(flag)) in option.file_names[1:]:
        return wanted
    name = next((name for name in option.file_names if name not in options), None)
    if name is None:
        raise BadOption(f"You gave more than {option.max_files} files as {option.name}.", option=option.name)
    return name


def _read_value(
    option: Option, inline: str | None, following: list[_Word], declaration: Declaration
) -> tuple[int, OptionValue]:
    """Return the number of following words in the value, and the value."""
    if inline is not None:
        return 0, strip_quotes(inline)
    if option.kind is OptionKind.FLAG:
        has_value = following and following[0].text.lower() in ("true", "false", "yes", "no", "on", "off")
        return (1, following[0].text) if has_value else (0, True)
    if not following or _match_flag(following[0], declaration) is not None:
        raise BadOption(f"--{option.name} needs a value: {option.question}", option=option.name)
    return 1, strip_quotes(following[0].text)


def strip_quotes(text: str) -> str:
    """Return a text without the quotes around it."""
    closing = _QUOTES.get(text[:1])
    return text[1:-1] if closing and len(text) > 1 and text.endswith((closing, text[0])) else text


def split_words(text: str) -> list[_Word]:
    """Return words with positions: a quoted run is a word, a quote without an end a plain character."""
    words: list[_Word] = []
    unclosed: set[str] = set()
    i = 0
    while i < len(text):
        if text[i].isspace():
            i += 1
            continue
        end = _find_word_end(text, i, unclosed)
        words.append(_Word(text[i:end], i, end, text[i] in _QUOTES and end - i > 1 and text[i:end] != text[i]))
        i = end
    return words


def _find_word_end(text: str, start: int, unclosed: set[str]) -> int:
    # `unclosed` collects the quotes without an end in the rest of the text. A search for each of them anew would take
    # minutes for a message full of open quotes.
    i = start
    while i < len(text) and not text[i].isspace():
        # A quote inside a word, as in 5" or the fox's, opens no value.
        opens_value = i == start or text[i - 1] == "="
        if text[i] in _QUOTES and opens_value and text[i] not in unclosed:
            close = _find_closing_quote(text, i)
            if close >= 0:
                i = close
            else:
                unclosed.add(text[i])
        # A pattern skips the letters of a word: a step for each of 60,000 letters holds the event loop for 10 ms.
        stop = _WORD_STOP.search(text, i + 1)
        i = stop.start() if stop else len(text)
    return i


def _find_closing_quote(text: str, start: int) -> int:
    """Return the position of the closing quote to the quote at `start`, or -1. A closing quote ends a word."""
    for i in range(start + 1, len(text)):
        if text[i] in (_QUOTES[text[start]], text[start]) and (i + 1 == len(text) or text[i + 1].isspace()):
            return i
    return -1


def join_free_words(text: str, spans: list[tuple[int, int]]) -> str:
    """Return the words outside options, with the spaces and line breaks between neighbours kept."""
    parts: list[str] = []
    last = -1
    for start, end in spans:
        gap = text[last:start] if last >= 0 else ""
        parts.append(gap if gap.isspace() or not gap else " ")
        parts.append(text[start:end])
        last = end
    return "".join(parts).strip()


def _assign_free_words(
    text: str, spans: list[tuple[int, int]], declaration: Declaration, options: dict[str, OptionValue]
) -> None:
    """Assign words outside options: all to the option for words, or each to the next option without a value."""
    if declaration.words_option is not None and spans:
        words, name = join_free_words(text, spans), declaration.words_option.name
        if name in options:
            raise BadOption(f"You gave {name} twice: as “{options[name]}” and as “{words}”.", option=name)
        options[name] = strip_quotes(words) if _is_one_quoted(words) else words
        return
    # "/quota grant ana 50": a word for each option in order.
    free = [option for option in declaration.options if option.name not in options]
    if len(spans) > len(free):
        extra = text[spans[len(free)][0] : spans[-1][1]]
        raise BadOption(f"I do not know what to do with “{extra}” in /{declaration.name}. /help shows its options.")
    for option, (start, end) in zip(free, spans, strict=False):
        options[option.name] = strip_quotes(text[start:end])


def _is_one_quoted(words: str) -> bool:
    return words[:1] in _QUOTES and _find_closing_quote(words, 0) == len(words) - 1


# Several prompts, and the parts of a long speech.

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


# Wishes about a picture.

MAX_UNDO_CHARACTERS = 80

_LEAD = r"(?:(?:now|please|and|then|ok|okay|but|nice|great|can you|could you|would you)[,!]? )*"
_OBJECT = r"(?:it|this|that|them|these|him|her|the|his|their|its|everything|everyone|all|my|a|an|some|more|less)\b"
_VERBS = (
    r"make|turn|paint|colou?r|recolou?r|convert|transform|put|give|move|zoom|crop|rotate|flip|mirror|blur|sharpen|"
    r"brighten|darken|restyle|redraw|add|remove|erase|replace|change|swap|blend|combine|merge"
)
_WISH = re.compile(rf"{_LEAD}(?:(?:{_VERBS}) {_OBJECT}|zoom (?:in|out)\b)", re.IGNORECASE)
_CHOICE = re.compile(
    r"(?:take |use )?(?:the )?(?P<nth>first|second|third|fourth|[1-4](?:st|nd|rd|th))(?: one| picture| image| photo)?"
    r"(?:,? but |,? and |[,:] )(?P<words>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_UNDO = re.compile(
    rf"{_LEAD}undo(?:,? (?:it|that|this|please|(?:that|this|the last) (?:one|edit|change)))*[.!]?", re.IGNORECASE
)
_NUMBERS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_SHAPES = {"wide": "16:9", "wider": "16:9", "tall": "9:16", "taller": "9:16", "square": "1:1"}


@dataclass(frozen=True, slots=True)
class EditWish:
    """A change of a picture. `n` is the number of the picture among those shown, from 1; `aspect` a wished shape."""

    prompt: str
    n: int = 1
    aspect: str = ""


def find_edit_wish(text: str) -> EditWish | None:
    """Return the change that a text about a picture asks for, None for talk."""
    text, n = text.strip(), 1
    if len(text) > MAX_PROMPT_CHARACTERS:
        return None
    choice = _CHOICE.fullmatch(text)
    if choice is not None:
        nth = choice["nth"].lower()
        n, words = _NUMBERS.get(nth) or int(nth[0]), choice["words"]
        return EditWish(words, n, _find_shape(words))
    wish = _WISH.match(text)
    # "make it winter?" is a question, "can you make it winter?" a wish.
    is_question = text.endswith("?") and not re.match(r"(?:can|could|would) you\b", text, re.IGNORECASE)
    return None if wish is None or is_question else EditWish(text, n, _find_shape(text))


def is_undo(text: str) -> bool:
    """Return whether a text asks to go back to the picture before the last change."""
    return len(text) <= MAX_UNDO_CHARACTERS and _UNDO.fullmatch(text.strip()) is not None


def is_request(text: str) -> bool:
    """Return whether a text about a picture asks the bot for something, rather than talks about the picture."""
    return is_undo(text) or find_edit_wish(text) is not None


def _find_shape(words: str) -> str:
    found = [shape for word, shape in _SHAPES.items() if re.search(rf"\b{word}\b", words, re.IGNORECASE)]
    return found[0] if found else ""
