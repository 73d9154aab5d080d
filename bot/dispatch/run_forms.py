"""Draws the form of a published model, reads its typed inputs, and turns both into the values that the schema takes.

Inputs are typed as `prompt="a fox" steps=20 image=@file`, or as a JSON object. `@file`, `@file2`, … are the attached
files, in order; a file may be a link too. Stored inputs are the same JSON object, so that a question, a button and a
typed command all read one form.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bot.catalogue.option_mapping import explain_mismatch, format_value
from bot.catalogue.running import MAX_FILES, is_needed
from bot.core.errors import BadOption, UnknownName
from bot.core.file_types import ANY_MEDIA
from bot.core.invocations import name_file
from bot.core.json import JSON
from bot.core.limits import MAX_RUN_INPUT_CHARACTERS
from bot.core.models import FieldKind, SchemaField
from bot.core.people import Rank
from bot.dispatch.declaration import Declaration, Option, OptionKind, OptionValue
from bot.dispatch.forms import read_value
from bot.dispatch.parsing import join_free_words, split_words, strip_quotes

FILE_NAMES = tuple(f"@{name_file('file', n)}" for n in range(MAX_FILES))
"""The marks of the attached files of `/run`, in order."""

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_PROMPT_NAMES = ("prompt", "text", "text_prompt", "message", "input", "question", "caption")
_MAX_QUESTION_CHARACTERS = 150
# Discord refuses a longer value of a choice, and an empty one.
_MAX_CHOICE_CHARACTERS = 100
_MAX_LISTED_FIELDS = 12
_FILE_KINDS = {FieldKind.FILE, FieldKind.FILES}
_YES_OR_NO = ("yes", "no")
_LIST_KINDS = {FieldKind.TEXTS, FieldKind.NUMBERS}


def declare_form(fields: Sequence[SchemaField]) -> Declaration:
    """Return the form of a model: each platform draws its own form from a declaration."""
    return Declaration(
        name="run",
        description="Run a model with its own inputs.",
        options=tuple(declare_option(field) for field in fields),
        task=None,
        rank=Rank.USER,
        is_private=False,
        menu_entries=(),
    )


def declare_option(field: SchemaField) -> Option:
    """Return the option of one field. Fields of several kinds, lists and JSON are typed as text."""
    kind = _choose_kind(field)
    choices = tuple(dict.fromkeys(str(choice) for choice in field.choices))
    if not all(choice.strip() and len(choice) <= _MAX_CHOICE_CHARACTERS for choice in choices):
        choices = ()
    if kind is OptionKind.FLAG:
        choices = _YES_OR_NO  # a box to tick could not say "no" to a model whose default is "yes"
    is_number = kind in (OptionKind.INTEGER, OptionKind.NUMBER) and not choices
    return Option(
        name=field.name,
        kind=OptionKind.TEXT if choices else kind,
        question=_describe(field),
        is_required=is_needed(field),
        minimum=field.minimum if is_number else None,
        maximum=field.maximum if is_number else None,
        max_length=field.max_length or None,
        choices=choices,
        field=field.name,
        max_files=MAX_FILES if FieldKind.FILES in field.kinds else 1,
        is_list=FieldKind.FILES in field.kinds,
        media=ANY_MEDIA,
    )


def _choose_kind(field: SchemaField) -> OptionKind:
    if field.kinds & _FILE_KINDS:
        return OptionKind.FILE
    single = {
        frozenset((FieldKind.INTEGER,)): OptionKind.INTEGER,
        frozenset((FieldKind.NUMBER,)): OptionKind.NUMBER,
        frozenset((FieldKind.INTEGER, FieldKind.NUMBER)): OptionKind.NUMBER,
        frozenset((FieldKind.BOOLEAN,)): OptionKind.FLAG,
    }
    return single.get(field.kinds, OptionKind.TEXT)


def _describe(field: SchemaField) -> str:
    """Return the question of a field: the description of the model's author, cut, with bounds and default."""
    text = " ".join(field.description.split()) or field.name.replace("_", " ")
    facts = []
    if field.kinds & _LIST_KINDS:
        facts.append("one a line")
    elif FieldKind.OTHER in field.kinds:
        facts.append("as JSON")
    if field.minimum is not None and field.maximum is not None:
        facts.append(f"{field.minimum:g} to {field.maximum:g}")
    if field.default not in (None, "", []):
        facts.append(f"else {str(field.default)[:40]}")
    note = f" ({', '.join(facts)})" if facts else ""
    room = _MAX_QUESTION_CHARACTERS - len(note)
    return (text if len(text) <= room else f"{text[: room - 1]}…") + note


def read_inputs(fields: Sequence[SchemaField], text: str, marks: Sequence[str] | None) -> dict[str, JSON]:
    """Return the typed inputs by field. Attached files that no input names fill the fields for files, in order.

    `marks` are those of `FILE_NAMES` with a file; None for stored inputs without the files. Raise `BadOption` or
    `UnknownName` with the field.
    """
    given = _parse_object(text) if text.lstrip().startswith("{") else _parse_words(fields, text)
    values: dict[str, JSON] = {}
    for name, raw in given.items():
        field = find_field(fields, name)
        if (value := read_input(field, raw)) is not None:
            values[name] = value
    return values if marks is None else _assign_files(fields, values, marks)


def read_submission(fields: Sequence[SchemaField], options: Mapping[str, OptionValue]) -> dict[str, JSON]:
    """Return the filled fields of a submitted form; an emptied field stands as None."""
    known = {field.name: field for field in fields}
    return {name: read_input(known[name], raw) for name, raw in options.items() if name in known}


def read_input(field: SchemaField, raw: JSON) -> JSON:
    """Return the value to send for a typed or submitted value; None for an empty one. Raise `BadOption`."""
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    if field.kinds & _FILE_KINDS:
        return _read_files(field, raw)
    option = declare_option(field)
    value: JSON
    if _choose_kind(field) is OptionKind.FLAG:
        value = read_value(replace(option, kind=OptionKind.FLAG, choices=()), _as_text(raw))
    elif field.choices:
        value = _match_choice(field, str(_as_text(raw)))
    elif field.kinds & (_LIST_KINDS | {FieldKind.OTHER}):
        value = _read_structure(field, raw)
    elif option.kind is OptionKind.TEXT:
        value = _read_text(field, option, raw)
    else:
        value = read_value(option, _as_text(raw))
        value = int(value) if isinstance(value, float) and value.is_integer() else value
    if wrong := explain_mismatch(field, value):
        raise BadOption(f"{field.name}: {wrong}.", option=field.name)
    return value


def _match_choice(field: SchemaField, text: str) -> JSON:
    """Return the choice of a text: the very choice first, for choices may differ in case or in spaces alone."""
    for normalise in (str, str.strip, lambda choice: choice.strip().lower()):
        for choice in field.choices:
            if normalise(str(choice)) == normalise(text):
                return choice
    listed = ", ".join(map(str, field.choices[:_MAX_LISTED_FIELDS]))
    raise BadOption(f"{field.name} must be one of {listed}, not “{text[:60]}”.", option=field.name)


def _as_text(raw: JSON) -> OptionValue:
    return raw if isinstance(raw, str | int | float | bool) else format_value(raw)


def _read_text(field: SchemaField, option: Option, raw: JSON) -> JSON:
    """Return a text; of a field of several kinds a number where the text is one."""
    text = str(read_value(option, _as_text(raw)))
    for kind, convert in ((FieldKind.INTEGER, int), (FieldKind.NUMBER, float)):
        if kind in field.kinds:
            try:
                return convert(text)
            except ValueError:
                continue
    if FieldKind.BOOLEAN in field.kinds and text.lower() in ("true", "false", "yes", "no"):
        return text.lower() in ("true", "yes")
    return text


def _read_structure(field: SchemaField, raw: JSON) -> JSON:
    """Return a list or JSON. A list may be typed with one item a line."""
    value: JSON = raw
    if isinstance(raw, str):
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            if not field.kinds & (_LIST_KINDS | {FieldKind.TEXT}):
                raise BadOption(f"{field.name} takes JSON, and this is none.", option=field.name) from None
            value = None
        if field.kinds & _LIST_KINDS and not isinstance(value, list):
            value = [line.strip() for line in raw.splitlines() if line.strip()]
        elif value is None:
            value = raw
    if not field.kinds & _LIST_KINDS:
        return value
    items = value if isinstance(value, list) else [value]
    if FieldKind.NUMBERS not in field.kinds:
        return [item if isinstance(item, str) else format_value(item) for item in items]
    number = Option(name=field.name, kind=OptionKind.NUMBER, question="", is_required=True)
    numbers = [float(read_value(number, _as_text(item))) for item in items]
    return [int(item) if item.is_integer() else item for item in numbers]


def _read_files(field: SchemaField, raw: JSON) -> JSON:
    """Return the marks and links of files: one text, or a list for a field that takes several."""
    names = [str(item).strip() for item in raw] if isinstance(raw, list) else str(raw).split()
    names = [name.removeprefix("<").removesuffix(">") for name in names]  # Slack puts links between brackets
    marks = [name if "://" in name or name.startswith("@") else f"@{name}" for name in names if name]
    for mark in marks:
        if mark.startswith("@") and mark not in FILE_NAMES:
            raise BadOption(
                f"{field.name} takes an attached file, as @file, or a link, not “{mark.removeprefix('@')}”.",
                option=field.name,
            )
    if FieldKind.FILES in field.kinds:
        if len(marks) > MAX_FILES:
            raise BadOption(f"{field.name} takes at most {MAX_FILES} files.", option=field.name)
        return list(marks)
    if len(marks) > 1:
        raise BadOption(f"{field.name} takes one file.", option=field.name)
    return marks[0] if marks else None


def _parse_object(text: str) -> dict[str, JSON]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise BadOption('The inputs begin like JSON and are none. Write prompt="a fox" steps=20.', option="inputs")
    return given


def _parse_words(fields: Sequence[SchemaField], text: str) -> dict[str, JSON]:
    """Return the values of `name=value`; other words are the prompt."""
    given: dict[str, JSON] = {}
    spans: list[tuple[int, int]] = []
    for word in split_words(text):
        named = None if word.is_quoted else _NAMED.fullmatch(word.text)
        if named is None:
            spans.append((word.start, word.end))
            continue
        field = find_field(fields, named[1])
        if field.name in given:
            raise BadOption(f"You gave {field.name} twice.", option=field.name)
        given[field.name] = strip_quotes(named[2])
    if spans:
        words, prompt = strip_quotes(join_free_words(text, spans)), _find_prompt(fields)
        if prompt is None or prompt.name in given:
            raise BadOption(f"I do not know which input “{words[:60]}” is: write name=value.", option="inputs")
        given[prompt.name] = words
    return given


def _find_prompt(fields: Sequence[SchemaField]) -> SchemaField | None:
    texts = [field for field in fields if FieldKind.TEXT in field.kinds and not field.choices]
    named = (field for name in _PROMPT_NAMES for field in texts if field.name == name)
    return next(named, None) or next((field for field in texts if is_needed(field)), None)


def find_field(fields: Sequence[SchemaField], name: str) -> SchemaField:
    """Return the field of a name, in any case. Raise `UnknownName` with the names of the model's fields."""
    field = next((field for field in fields if field.name == name), None)
    field = field or next((field for field in fields if field.name.lower() == name.lower()), None)
    if field is None:
        known = [field.name for field in fields]
        raise UnknownName("input", name, known, advice=f"The model takes {', '.join(known[:_MAX_LISTED_FIELDS])}.")
    return field


def _assign_files(fields: Sequence[SchemaField], values: dict[str, JSON], marks: Sequence[str]) -> dict[str, JSON]:
    """Add the attached files that no input names to the empty fields for files, needed ones first."""
    named = list_marks(values)
    if missing := [mark for mark in named if mark not in marks]:
        raise BadOption(f"There is no {missing[0]}: you attached {len(marks) or 'no'} files.", option="inputs")
    free = [mark for mark in marks if mark not in named]
    empty = sorted(
        (field for field in fields if field.kinds & _FILE_KINDS and field.name not in values),
        key=lambda field: not is_needed(field),
    )
    for field in empty:
        takes = MAX_FILES if FieldKind.FILES in field.kinds else 1
        taken, free = free[:takes], free[takes:]
        if taken:
            values[field.name] = list(taken) if FieldKind.FILES in field.kinds else taken[0]
    if free:
        raise BadOption("The model takes fewer files than you attached.", option="inputs")
    return values


def list_marks(values: Mapping[str, JSON]) -> list[str]:
    """Return the marks of attached files among inputs, in order."""
    lists = [value if isinstance(value, list) else [value] for value in values.values()]
    return [mark for marks in lists for mark in marks if isinstance(mark, str) and mark in FILE_NAMES]


def take_mark(used: Collection[str]) -> str:
    """Return the first mark without a file. Raise `BadOption` when all have one."""
    mark = next((mark for mark in FILE_NAMES if mark not in used), None)
    if mark is None:
        raise BadOption(f"I take at most {MAX_FILES} files.", option="inputs")
    return mark


def find_missing(fields: Sequence[SchemaField], values: Mapping[str, JSON]) -> list[str]:
    """Return the names of the needed fields without a value."""
    return [field.name for field in fields if is_needed(field) and values.get(field.name) in (None, [])]


def dump_inputs(values: Mapping[str, JSON]) -> str:
    """Return inputs as the text that `read_inputs` reads. Raise `BadOption` for more than a job may store."""
    text = json.dumps(dict(values), ensure_ascii=False)
    if len(text) > MAX_RUN_INPUT_CHARACTERS:
        over = len(text) - MAX_RUN_INPUT_CHARACTERS
        raise BadOption(f"The inputs are {over:,} characters too long together. Shorten a text.", option="inputs")
    return text


def show_values(fields: Sequence[SchemaField], values: Mapping[str, JSON]) -> dict[str, OptionValue]:
    """Return inputs as the values of a form; files stay with the question."""
    shown: dict[str, OptionValue] = {}
    for field in fields:
        value = values.get(field.name)
        if value is None or field.kinds & _FILE_KINDS:
            continue
        if isinstance(value, list) and all(isinstance(item, str) and "\n" not in item for item in value):
            shown[field.name] = "\n".join(map(str, value))
        elif isinstance(value, bool):
            shown[field.name] = _YES_OR_NO[not value]
        elif field.choices:
            shown[field.name] = str(value)
        else:
            shown[field.name] = _as_text(value)
    return shown


def format_inputs(fields: Sequence[SchemaField], values: Mapping[str, JSON]) -> list[str]:
    """Return a line for each given input, long texts cut."""
    lines = []
    for field in fields:
        if (value := values.get(field.name)) not in (None, []):
            shown = value if isinstance(value, str) else format_value(value)
            lines.append(f"- {field.name}: {shown if len(shown) <= 200 else f'{shown[:199]}…'}")
    return lines
