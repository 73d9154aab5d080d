"""Draft a catalogue entry from a model's published schema, and append the draft to a catalogue file.

The owner fills in the price: backends do not publish prices in machine-readable form.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bot.catalogue.loading import (
    BOUNDED_METRICS,
    BUILT_IN_BACKEND,
    BUILT_IN_PATH,
    PRICE_PLACEHOLDER,
    CatalogueError,
    format_usd,
    load_catalogue,
)
from bot.catalogue.option_mapping import InputTable, format_kinds, list_mapped_fields, map_options
from bot.core.errors import EaselError
from bot.core.json import JSON
from bot.core.models import FieldKind, Metric, ModelSchema, OutputKind, Price, PriceTier, SchemaField, Task

if TYPE_CHECKING:  # tomlkit is loaded with the first draft: commands need the names of this file alone
    from tomlkit import TOMLDocument
    from tomlkit.items import Comment, Item

DRAFTED_TASKS = tuple(task for task in Task if task is not Task.TRAIN)
"""A training's inputs stand in a schema of their own: its entry is written by hand, in the catalogue file."""

_REQUIRED_OPTIONS: Mapping[Task, tuple[str, ...]] = {
    Task.IMAGINE: ("prompt",),
    Task.EDIT: ("prompt", "image"),
    Task.REMOVE_BACKGROUND: ("image",),
    Task.RESTORE: ("image",),
    Task.UPSCALE: ("image", "scale"),
    Task.CAPTION: ("image",),
    Task.TRANSCRIBE: ("audio",),
    Task.SPEAK: ("text",),
    Task.MUSIC: ("prompt",),
    Task.VIDEO: ("prompt",),
    Task.CHAT: ("prompt", "max_tokens"),
    Task.RUN: (),
    Task.TRAIN: (),
}
"""Options that the commands always send: a model without fields for these options does not work."""

_DEFAULT_USUAL_SECONDS = dict.fromkeys(Task, 5.0) | {Task.CAPTION: 2.0, Task.CHAT: 10.0, Task.VIDEO: 60.0}
_DEFAULT_MAX_SECONDS = dict.fromkeys(Task, 120) | {Task.CAPTION: 60, Task.CHAT: 300, Task.VIDEO: 600}
# A schema tells a file from a text, and no sound from a picture: the task decides.
_OUTPUTS = {Task.SPEAK: OutputKind.AUDIO, Task.MUSIC: OutputKind.AUDIO, Task.VIDEO: OutputKind.VIDEO}
_FILE_KINDS = {FieldKind.FILE, FieldKind.FILES}
# The schemas of these models are those of an upscaler: only the names tell the purpose.
_BACKGROUND_WORDS = ("background", "rembg", "birefnet")
_FACE_WORDS = ("gfpgan", "codeformer", "restor")
_MAX_DESCRIPTION_CHARACTERS = 100
_DEFAULT_CONTEXT_TOKENS = 8192
_METRICS_BY_MILLION = {Metric.TOKEN_INPUT_COUNT, Metric.TOKEN_OUTPUT_COUNT, Metric.CHARACTER_INPUT_COUNT}
_DRAFTED_BOUNDS = {
    Metric.IMAGE_INPUT_MEGAPIXEL_COUNT: 25,
    Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT: 16,
    Metric.AUDIO_INPUT_MINUTE_COUNT: 240,
    Metric.AUDIO_OUTPUT_DURATION_SECONDS: 300,
    Metric.VIDEO_OUTPUT_DURATION_SECONDS: 20,
}
_LENGTH_FIELDS = {"duration", "num_frames", "fps"}
_PICTURE_SIZE_FIELDS = {"resolution", "aspect_ratio", "width", "image", "start_image", "first_frame_image"}
_VOICE_FIELDS = {"voice", "voice_id", "speaker", "reference_audio"}
_VIDEO_FIELDS = {"fps", "num_frames", "frames", "duration", "audio", "voice", "speaker"}


class DraftingError(EaselError):
    """The model's schema fits no command of the bot."""


@dataclass(frozen=True, slots=True)
class CatalogueDraft:
    """An entry as TOML, and one sentence for each value that the owner must fill in."""

    key: str
    text: str
    todo: tuple[str, ...]


def draft_entry(published: ModelSchema, *, today: date, key: str = "", task: Task | None = None) -> CatalogueDraft:
    """Return the draft of a model's entry. Without `task`, guess the task from inputs and output.

    Raise `DraftingError` if the model publishes no schema, or the schema fits no task.
    """
    if published.fields is None:
        raise DraftingError(f"{published.ref} publishes no schema to draft from.")
    task = task or _guess_task(published)
    key = key or derive_key(published.ref)
    rules = map_options(task, published)
    fixed = _choose_fixed_values(task, published, rules)
    todo = (*_list_price_todo(published), *_list_todo(task, published, rules, fixed))
    document = _build_document(key, task, published, rules, fixed, todo, today)
    return CatalogueDraft(key, dump_toml(document), todo)


def _build_document(
    key: str,
    task: Task,
    published: ModelSchema,
    rules: Mapping[str, InputTable],
    fixed: Mapping[str, JSON],
    todo: Sequence[str],
    today: date,
) -> "TOMLDocument":
    import tomlkit

    table, inputs, document = tomlkit.table(), tomlkit.table(), tomlkit.document()
    for name, value in _describe_model(task, published):
        table.add(name, build_toml_value(value))
    price = build_toml_value(make_price_table(task, published, today))
    table.add("price", price.comment(flatten_text(" ".join(todo[:1]))) if todo[:1] == (_fill_in(published),) else price)
    if fixed:
        table.add("fixed", build_toml_value(fixed))
    for option, rule in rules.items():
        inputs.add(option, build_toml_value(rule))
    for sentence in todo:
        if sentence == _fill_in(published):
            continue  # stands as a comment at the price
        inputs.add(build_toml_comment(f"FILL IN: {sentence}"))
    for sentence in _list_remarks(published, rules, fixed):
        inputs.add(build_toml_comment(sentence))
    table.add("inputs", inputs)
    document.add(key, table)
    return document


def derive_key(ref: str) -> str:
    """Return the bot's name of a model: the last part of the backend's name, in letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", _shorten_ref(ref).lower()).strip("-") or "model"


def _shorten_ref(ref: str) -> str:
    """Return the last part of the backend's name; of a workflow's file the name without its ending."""
    return ref.rpartition("/")[2].removesuffix(".json")


def _guess_task(published: ModelSchema) -> Task:
    fields = published.fields or ()
    has_picture = any(field.kinds & _FILE_KINDS and field.is_required for field in fields)
    has_prompt = "prompt" in map_options(Task.IMAGINE, published)
    if published.output is OutputKind.PICTURES:
        if (task := _guess_recording_task(published)) is not None:
            return task
        if has_prompt:
            return Task.EDIT if _requires_picture(published) else Task.IMAGINE
        if has_picture and any(word in published.ref.lower() for word in _BACKGROUND_WORDS):
            return Task.REMOVE_BACKGROUND
        if has_picture and any(word in published.ref.lower() for word in _FACE_WORDS):
            return Task.RESTORE
        if has_picture and "scale" in map_options(Task.UPSCALE, published):
            return Task.UPSCALE
    elif published.output is not None:
        if "audio" in map_options(Task.TRANSCRIBE, published) and any(
            field.name.startswith("audio") and field.is_required for field in fields
        ):
            return Task.TRANSCRIBE
        if has_picture:
            return Task.CAPTION
        if {"prompt", "messages"} & map_options(Task.CHAT, published).keys():
            return Task.CHAT
    listed = ", ".join(field.name for field in fields)
    gives = published.output or "what the bot cannot show"
    raise DraftingError(
        f"No command fits {published.ref}, which takes {listed or 'nothing'} and gives {gives}. "
        f"If one does, name it: --task {' or '.join(Task)}."
    )


def _guess_recording_task(published: ModelSchema) -> Task | None:
    """Return the task of a model that gives videos or sounds, as far as its fields tell."""
    names = {field.name for field in published.fields or ()}
    if names & _LENGTH_FIELDS and names & _PICTURE_SIZE_FIELDS:
        return Task.VIDEO
    return Task.SPEAK if names & _VOICE_FIELDS and "text" in map_options(Task.SPEAK, published) else None


def _requires_picture(published: ModelSchema) -> bool:
    rule = map_options(Task.EDIT, published).get("image")
    names = list_mapped_fields(rule) if rule is not None else set()
    return any(field.is_required and field.name in names for field in published.fields or ())


def _describe_model(task: Task, published: ModelSchema) -> Iterator[tuple[str, JSON]]:
    name = _shorten_ref(published.ref).replace("-", " ").replace("_", " ")
    yield "title", flatten_text(name[:1].upper() + name[1:])
    if published.description:
        yield "description", _shorten(flatten_text(published.description))
    yield "task", str(task)
    if published.backend != BUILT_IN_BACKEND:
        yield "backend", published.backend
    yield "ref", published.ref
    if not published.is_official:
        yield "version", published.version
    published_output = published.output or OutputKind.PICTURES
    yield "output", str(published_output if published_output.is_text else _OUTPUTS.get(task, published_output))
    if task is Task.CHAT:
        if _is_llama3(published):
            yield "template", "llama3"
        yield "context_tokens", published.context_tokens or _DEFAULT_CONTEXT_TOKENS
    seconds = published.usual_seconds or _DEFAULT_USUAL_SECONDS[task]
    yield "usual_seconds", round(seconds, 1) or 0.1
    yield "max_seconds", max(_DEFAULT_MAX_SECONDS[task], min(1800, round(seconds * 10)))


def make_price_table(task: Task, published: ModelSchema, today: date) -> dict[str, JSON | date]:
    """Return a price to fill in, with the likeliest metrics: tokens, images of official models, or seconds."""
    about: dict[str, JSON | date] = {"source": _format_page(published), "read_on": today}
    tiers: list[JSON]
    if published.price_tiers:
        tiers = [_make_tier_table(tier) for tier in published.price_tiers]
        open_metrics = [metric for metric in BOUNDED_METRICS if metric in Price(published.price_tiers).metrics]
        bounds: dict[str, JSON] = {str(metric): _DRAFTED_BOUNDS[metric] for metric in sorted(open_metrics)}
        return {"tiers": tiers, **({"bounds": bounds} if bounds else {}), **about}
    if task is Task.CHAT:
        tokens = (Metric.TOKEN_INPUT_COUNT, Metric.TOKEN_OUTPUT_COUNT)
        tiers = [{"per": str(metric), "usd": PRICE_PLACEHOLDER, "units": 1_000_000} for metric in tokens]
    else:
        is_per_image = published.is_official and published.output is OutputKind.PICTURES
        metric = Metric.IMAGE_OUTPUT_COUNT if is_per_image else Metric.PREDICT_TIME
        tiers = [{"per": str(metric), "usd": PRICE_PLACEHOLDER}]
    return {"tiers": tiers, **about}


def copy_price_table(price: Price) -> dict[str, JSON]:
    """Return the table of a known price, for an entry with the same price."""
    return {
        "tiers": [_make_tier_table(tier) for tier in price.tiers],
        "bounds": {str(metric): bound for metric, bound in price.bounds.items()},
        "source": price.source,
        "read_on": str(price.read_on),
        "agreed": price.is_agreed,
    }


def _make_tier_table(tier: PriceTier) -> JSON:
    units = 1_000_000 if tier.metric in _METRICS_BY_MILLION else 1
    when: dict[str, JSON] = {
        name: values[0] if len(values) == 1 else list(values) for name, values in tier.when.items()
    }
    return {
        **({"when": when} if when else {}),
        **({"up_to_megapixels": tier.up_to_megapixels} if tier.up_to_megapixels is not None else {}),
        "per": str(tier.metric),
        "usd": format_usd(tier.micros * units),
        **({"units": units} if units > 1 else {}),
    }


def _list_price_todo(published: ModelSchema) -> Iterator[str]:
    price = Price(published.price_tiers)
    if not price.tiers:
        yield _fill_in(published)
    elif price.objection:
        yield f"The model {price.objection}: it stays off. Set price.agreed = true if you agree."
    if any(metric in BOUNDED_METRICS for metric in price.metrics):
        yield "Check price.bounds, the most that one run may give where its inputs do not say."


def _fill_in(published: ModelSchema) -> str:
    return f"Fill in the price, from {_format_page(published)}."


def _choose_fixed_values(task: Task, published: ModelSchema, rules: Mapping[str, InputTable]) -> dict[str, JSON]:
    """Return values for required fields without an option: the field's default or first choice."""
    fixed: dict[str, JSON] = {}
    for field in _list_unmapped_fields(published, rules):
        if field.is_required and field.default is not None:
            fixed[field.name] = field.default
        elif field.is_required and field.choices:
            fixed[field.name] = field.choices[0]
    if task is Task.CHAT and _is_llama3(published) and published.find_field("prompt_template"):
        # The bot builds the whole Llama prompt itself: the model's own template would wrap the prompt again.
        fixed["prompt_template"] = "{prompt}"
    return fixed


def _list_todo(
    task: Task, published: ModelSchema, rules: Mapping[str, InputTable], fixed: Mapping[str, JSON]
) -> Iterator[str]:
    if published.output is None:
        yield "The schema does not say what it gives: check output."
    for option in _REQUIRED_OPTIONS[task]:
        if option not in rules and not (option == "prompt" and "messages" in rules):
            yield f"/{task} always gives {option}, and no field of this model looks like it: name one in inputs."
    for field in _list_unmapped_fields(published, rules):
        if field.is_required and field.name not in fixed:
            yield f"The model requires {field.name} ({format_kinds(field)}): give it a value in fixed."


def _list_remarks(published: ModelSchema, rules: Mapping[str, InputTable], fixed: Mapping[str, JSON]) -> Iterator[str]:
    names = {field.name for field in published.fields or ()}
    if published.output is OutputKind.PICTURES and names & _VIDEO_FIELDS:
        yield "It may give videos or sound: if so, draft it again with --task video, speak or music."
    for field in published.fields or ():
        if FieldKind.FILES in field.kinds and FieldKind.FILE not in field.kinds:
            yield f"{field.name} takes a list of files, which the bot does not send."
    if unmapped := [
        _format_field(field)
        for field in _list_unmapped_fields(published, rules)
        if not (field.name in fixed or field.is_required)
    ]:
        yield f"Left to the model: {', '.join(unmapped)}."


def _list_unmapped_fields(published: ModelSchema, rules: Mapping[str, InputTable]) -> list[SchemaField]:
    mapped = {name for rule in rules.values() for name in list_mapped_fields(rule)}
    return [field for field in published.fields or () if field.name not in mapped]


def _format_field(field: SchemaField) -> str:
    choices = "|".join(str(choice) for choice in field.choices[:8])
    return f"{field.name} ({choices or format_kinds(field)})"


def _is_llama3(published: ModelSchema) -> bool:
    return "llama-3" in published.ref


def _format_page(published: ModelSchema) -> str:
    return published.page or f"replicate.com/{published.ref}"


def _shorten(text: str) -> str:
    if len(text) <= _MAX_DESCRIPTION_CHARACTERS:
        return text
    return text[:_MAX_DESCRIPTION_CHARACTERS].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def append_entry(path: Path, draft: CatalogueDraft) -> None:
    """Append a draft to a catalogue file. A new file starts as a copy of the built-in catalogue.

    Raise `CatalogueError` if the file has the key already, or is unreadable.
    """
    text = _read_text(path if path.exists() else BUILT_IN_PATH)
    if draft.key in _parse_table_names(text, path):
        raise CatalogueError(f"[{draft.key}] is in {path.name} already; give the new entry another name with --key.")
    extended = f"{text.rstrip()}\n\n{draft.text}"
    _parse_table_names(extended, path)  # refuse to write a file that could not be loaded
    _replace_file(path, extended)


def remove_entry(path: Path, key: str) -> bool:
    """Take an entry out of a catalogue file; return false for a file without the entry.

    Raise `CatalogueError` for an unreadable file, and for an entry that others name among their `fallbacks`.
    """
    if not path.exists() or key not in {model.key for model in load_catalogue(path)}:
        return False
    import tomlkit

    document = tomlkit.parse(_read_text(path))
    document.remove(key)
    shortened = path.with_name(f"{path.name}.new")
    shortened.write_text(document.as_string(), encoding="utf-8")
    try:
        load_catalogue(shortened)
    except CatalogueError as error:
        shortened.unlink()
        raise CatalogueError(f"Without [{key}] the catalogue cannot be used: {error}") from error
    os.replace(shortened, path)
    return True


def _replace_file(path: Path, extended: str) -> None:
    # Write a second file and rename it: a crash leaves the old catalogue or the new catalogue, never a part.
    temporary = path.with_name(f"{path.name}.new")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(extended, encoding="utf-8")
    os.replace(temporary, path)


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


# TOML for readers: each value on one line, and no character that could mislead the reader of a terminal.

_UNSAFE = re.compile("[\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Surrogates, which UTF-8 cannot encode, and characters that control line ends or writing direction."""


def build_toml_value(value: JSON | date | Mapping[str, JSON | date]) -> "Item":
    """Return a value for a TOML table, mappings as inline tables. Raises `ValueError` for None: TOML has no null."""
    import tomlkit

    if value is None:
        raise ValueError("TOML has no null")
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for name, inner in value.items():
            table.append(name, build_toml_value(inner))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for inner in value:
            array.append(build_toml_value(inner))
        return array
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return tomlkit.item(int(value))
    return tomlkit.item(value)


def build_toml_comment(text: str) -> "Comment":
    """Return a comment of one line; no character of the text can end it."""
    import tomlkit

    return tomlkit.comment(flatten_text(text))


def dump_toml(document: "TOMLDocument") -> str:
    """Return the document as text. Unsafe characters can stand in strings only, so each becomes an escape."""
    return _UNSAFE.sub(_escape, document.as_string())


def flatten_text(text: str) -> str:
    """Return a text without line breaks and control characters."""
    visible = "".join(character if character.isprintable() else " " for character in _UNSAFE.sub(" ", text))
    return " ".join(visible.split())


def _escape(match: re.Match[str]) -> str:
    # A lone surrogate has no escape either: TOML knows whole characters only.
    code = ord(match[0])
    return f"\\u{0xFFFD if 0xD800 <= code <= 0xDFFF else code:04x}"
