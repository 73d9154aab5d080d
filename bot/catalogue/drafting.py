"""Write TOML that people read: each value on one line, no character that plays tricks on a terminal."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import tomlkit
from tomlkit.items import Comment, Item

from bot.catalogue.loading import BUILT_IN_PATH, PRICE_PLACEHOLDER, CatalogueError
from bot.catalogue.option_mapping import InputTable, list_mapped_fields, map_options
from bot.core.errors import EaselError
from bot.core.json import JSON
from bot.core.model_schema import FieldKind, ModelSchema, SchemaField
from bot.core.models import OutputKind, Task

_UNSAFE = re.compile("[\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Surrogates, which no file can hold, and controls of line ends and writing direction."""


def value_item(value: JSON | date | Mapping[str, JSON | date]) -> Item:
    """Return a value for a TOML table, mappings as inline tables. Raises `ValueError` for None: TOML has no null."""
    if value is None:
        raise ValueError("TOML has no null")
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for name, inner in value.items():
            table.append(name, value_item(inner))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for inner in value:
            array.append(value_item(inner))
        return array
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return tomlkit.item(int(value))
    return tomlkit.item(value)


def comment_item(text: str) -> Comment:
    """Return a comment of one line; no character of the text can end it."""
    return tomlkit.comment(flatten_text(text))


def dump(document: tomlkit.TOMLDocument) -> str:
    """Return the document as text. Unsafe characters can stand in strings only, so each becomes an escape."""
    return _UNSAFE.sub(_escape, tomlkit.dumps(document))


def flatten_text(text: str) -> str:
    """Return a text without line breaks and control characters."""
    visible = "".join(character if character.isprintable() else " " for character in _UNSAFE.sub(" ", text))
    return " ".join(visible.split())


def _escape(match: re.Match[str]) -> str:
    # A lone surrogate has no escape either: TOML knows whole characters only.
    code = ord(match[0])
    return f"\\u{0xFFFD if 0xD800 <= code <= 0xDFFF else code:04x}"


# MERGED A catalogue entry drafted from what a model publishes. Its price is left to the owner: backends do not
# MERGED publish it.

_REQUIRED_OPTIONS: Mapping[Task, tuple[str, ...]] = {
    Task.IMAGINE: ("prompt",),
    Task.UPSCALE: ("image", "scale"),
    Task.CAPTION: ("image",),
    Task.CHAT: ("prompt", "max_tokens"),
}
"""Options that the commands always give: a model without a field for them cannot serve."""

_DEFAULT_USUAL_SECONDS = {Task.IMAGINE: 5.0, Task.UPSCALE: 5.0, Task.CAPTION: 2.0, Task.CHAT: 10.0}
_DEFAULT_MAX_SECONDS = {Task.IMAGINE: 120, Task.UPSCALE: 120, Task.CAPTION: 60, Task.CHAT: 300}
_MAX_DESCRIPTION_CHARACTERS = 100
_VIDEO_FIELDS = {"fps", "num_frames", "frames", "duration", "audio", "voice", "speaker"}


class DraftingError(EaselError):
    """The model fits no command of the bot, as far as its schema tells."""


@dataclass(frozen=True, slots=True)
class CatalogueDraft:
    """`text` is the table as TOML; `to_do` what its owner still has to fill in, a sentence each."""

    key: str
    text: str
    todo: tuple[str, ...]


def draft_entry(published: ModelSchema, *, today: date, key: str = "", task: Task | None = None) -> CatalogueDraft:
    """A table for this model. Without `task` it is guessed from what goes in and comes out; raises `CannotDraft`."""
    if published.fields is None:
        raise DraftingError(f"{published.ref} publishes no schema to draft from.")
    task = task or _guess_task(published)
    key = key or derive_key(published.ref)
    rules = map_options(task, published)
    fixed = _choose_fixed_values(task, published, rules)
    to_do = (f"Fill in the price, from {_format_page(published)}.", *_list_todo(task, published, rules, fixed))
    return CatalogueDraft(key, dump(_document(key, task, published, rules, fixed, to_do, today)), to_do)


def _document(
    key: str,
    task: Task,
    published: ModelSchema,
    rules: Mapping[str, InputTable],
    fixed: Mapping[str, JSON],
    to_do: Sequence[str],
    today: date,
) -> tomlkit.TOMLDocument:
    table, inputs, document = tomlkit.table(), tomlkit.table(), tomlkit.document()
    for name, value in _describe_model(task, published):
        table.add(name, value_item(value))
    price = value_item(_make_price_table(task, published, today))
    table.add("price", price.comment(flatten_text(f"FILL IN from {_format_page(published)}")))
    if fixed:
        table.add("fixed", value_item(fixed))
    for option, rule in rules.items():
        inputs.add(option, value_item(rule))
    for sentence in to_do[1:]:
        inputs.add(comment_item(f"FILL IN: {sentence}"))
    for sentence in _list_remarks(published, rules, fixed):
        inputs.add(comment_item(sentence))
    table.add("inputs", inputs)
    document.add(key, table)
    return document


def derive_key(ref: str) -> str:
    """Our name for a model: the second half of the backend's, in letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", ref.partition("/")[2].lower()).strip("-") or "model"


def _guess_task(published: ModelSchema) -> Task:
    fields = published.fields or ()
    has_picture = any(FieldKind.FILE in field.kinds and field.is_required for field in fields)
    has_words = "prompt" in map_options(Task.IMAGINE, published)
    if published.output is OutputKind.PICTURES:
        if has_words:
            return Task.IMAGINE
        if has_picture and "scale" in map_options(Task.UPSCALE, published):
            return Task.UPSCALE
    elif published.output is not None:
        if has_picture:
            return Task.CAPTION
        if "prompt" in map_options(Task.CHAT, published):
            return Task.CHAT
    listed = ", ".join(field.name for field in fields)
    gives = published.output or "what the bot cannot show"
    raise DraftingError(
        f"No command fits {published.ref}, which takes {listed or 'nothing'} and gives {gives}. "
        f"If one does, name it: --task {' or '.join(Task)}."
    )


def _describe_model(task: Task, published: ModelSchema) -> Iterator[tuple[str, JSON]]:
    name = published.ref.partition("/")[2].replace("-", " ").replace("_", " ")
    yield "title", flatten_text(name[:1].upper() + name[1:])
    if published.description:
        yield "description", _shorten(flatten_text(published.description))
    yield "task", str(task)
    yield "ref", published.ref
    if not published.is_official:
        yield "version", published.version
    yield "output", str(published.output or OutputKind.PICTURES)
    if task is Task.CHAT:
        if _is_llama3(published):
            yield "template", "llama3"
        yield "context_tokens", 8192
    seconds = published.usual_seconds or _DEFAULT_USUAL_SECONDS[task]
    yield "usual_seconds", round(seconds, 1) or 0.1
    yield "max_seconds", max(_DEFAULT_MAX_SECONDS[task], min(1800, round(seconds * 10)))


def _make_price_table(task: Task, published: ModelSchema, today: date) -> dict[str, JSON | date]:
    """The unit that is likeliest: tokens for words, pictures for what the backend keeps, else the seconds it runs."""
    if task is Task.CHAT:
        names = ["usd_per_million_tokens_in", "usd_per_million_tokens_out"]
    elif published.is_official and published.output is OutputKind.PICTURES:
        names = ["usd_per_image"]
    else:
        names = ["usd_per_second"]
    return {**dict.fromkeys(names, PRICE_PLACEHOLDER), "source": _format_page(published), "read_on": today}


def _choose_fixed_values(task: Task, published: ModelSchema, rules: Mapping[str, InputTable]) -> dict[str, JSON]:
    """What the model requires and no option gives, at its own default; and the chat template that is ours."""
    fixed: dict[str, JSON] = {}
    for field in _list_unmapped_fields(published, rules):
        if field.is_required and field.default is not None:
            fixed[field.name] = field.default
        elif field.is_required and field.choices:
            fixed[field.name] = field.choices[0]
    if task is Task.CHAT and _is_llama3(published) and published.find_field("prompt_template"):
        fixed["prompt_template"] = "{prompt}"
    return fixed


def _list_todo(
    task: Task, published: ModelSchema, rules: Mapping[str, InputTable], fixed: Mapping[str, JSON]
) -> Iterator[str]:
    if published.output is None:
        yield "The schema does not say what it gives: check output."
    for option in _REQUIRED_OPTIONS[task]:
        if option not in rules:
            yield f"/{task} always gives {option}, and no field of this model looks like it: name one in inputs."
    for field in _list_unmapped_fields(published, rules):
        if field.is_required and field.name not in fixed:
            yield f"The model requires {field.name} ({_format_kinds(field)}): give it a value in fixed."


def _list_remarks(published: ModelSchema, rules: Mapping[str, InputTable], fixed: Mapping[str, JSON]) -> Iterator[str]:
    names = {field.name for field in published.fields or ()}
    if published.output is OutputKind.PICTURES and names & _VIDEO_FIELDS:
        yield "It may give videos or sound, which the bot cannot show."
    for field in published.fields or ():
        if FieldKind.FILES in field.kinds and FieldKind.FILE not in field.kinds:
            yield f"{field.name} takes a list of files, which the bot does not send."
    if left := [
        _format_field(field)
        for field in _list_unmapped_fields(published, rules)
        if not (field.name in fixed or field.is_required)
    ]:
        yield f"Left to the model: {', '.join(left)}."


def _list_unmapped_fields(published: ModelSchema, rules: Mapping[str, InputTable]) -> list[SchemaField]:
    mapped = {name for rule in rules.values() for name in list_mapped_fields(rule)}
    return [field for field in published.fields or () if field.name not in mapped]


def _format_field(field: SchemaField) -> str:
    choices = "|".join(str(choice) for choice in field.choices[:8])
    return f"{field.name} ({choices or _format_kinds(field)})"


def _format_kinds(field: SchemaField) -> str:
    return " or ".join(sorted(field.kinds))


def _is_llama3(published: ModelSchema) -> bool:
    return "llama-3" in published.ref


def _format_page(published: ModelSchema) -> str:
    return f"replicate.com/{published.ref}"


def _shorten(text: str) -> str:
    if len(text) <= _MAX_DESCRIPTION_CHARACTERS:
        return text
    return text[:_MAX_DESCRIPTION_CHARACTERS].rsplit(" ", 1)[0].rstrip(",;:") + "…"


# MERGED A drafted entry put into a catalogue file: at its end, and only if the file is whole before and after.


def append_entry(path: Path, draft: CatalogueDraft) -> None:
    """Add the draft. A file that is not there begins as a copy of the built-in catalogue, whose place it takes.

    Raises `CatalogueError` when the key is taken, or when the file cannot be read.
    """
    text = _read_text(path if path.exists() else BUILT_IN_PATH)
    if draft.key in _parse_table_names(text, path):
        raise CatalogueError(f"[{draft.key}] is in {path.name} already; give the new entry another name with --key.")
    longer = f"{text.rstrip()}\n\n{draft.text}"
    _parse_table_names(longer, path)
    # Written beside it and moved over it: a crash leaves the old catalogue or the new one, never half of one.
    beside = path.with_name(f"{path.name}.new")
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(longer, encoding="utf-8")
    os.replace(beside, path)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"The catalogue {path.name} cannot be read: {error}.") from error


def _parse_table_names(text: str, path: Path) -> set[str]:
    try:
        return set(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"The catalogue {path.name} cannot be read: {error}.") from error
