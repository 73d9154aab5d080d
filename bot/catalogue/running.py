"""Makes a catalogue entry that runs a published model with the model's own inputs, for `/run`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

from bot.catalogue.drafting import DraftingError, flatten_text, make_price_table
from bot.catalogue.option_mapping import FIELD_NAMES, format_value
from bot.core.file_types import ANY_MEDIA
from bot.core.json import JSON
from bot.core.limits import MAX_RUN_FIELDS
from bot.core.models import (
    FieldKind,
    InputRule,
    Metric,
    Model,
    ModelSchema,
    OutputKind,
    SchemaField,
    Task,
)

DEAREST_SECOND_USD = "0.001525"
"""The dearest single graphics card (an H100, replicate.com/pricing of 2026-11): no API tells the hardware of a model,
so a bound assumes the dearest."""

MAX_FILES = 4
"""The most files of a list: no schema tells."""

_ANY_MEDIA: list[JSON] = [str(kind) for kind in ANY_MEDIA]
# A workspace decides about pictures for adults: no input of a person may turn a model's own checks off.
_SAFETY_SWITCH = re.compile(r"safety_?check|safety_filter|disable_safety|nsfw|moderation", re.IGNORECASE)
_LEAST_SECONDS, _MOST_SECONDS = 60, 600
# A model that needs three times the seconds of the published example is stuck, or was given far more to do.
_SECONDS_FACTOR = 3
_DEFAULT_ANSWER_TOKENS = 1_024
_CONTEXT_TOKENS = 32_768
_MAX_NAME_CHARACTERS = 80
_COUNT_NAMES = (*FIELD_NAMES[Task.IMAGINE]["count"], "max_images", "batch_size", "num_videos")
_PRICE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "count": _COUNT_NAMES,
    "max_tokens": FIELD_NAMES[Task.CHAT]["max_tokens"],
    "scale": FIELD_NAMES[Task.UPSCALE]["scale"],
}


def list_run_fields(published: ModelSchema) -> tuple[SchemaField, ...]:
    """Return the inputs that a form offers, in the model's order, at most `MAX_RUN_FIELDS`.

    Secrets and switches of the model's safety checks are left out.

    Raise `DraftingError` with the reason for a model that cannot be run from a form.
    """
    if published.fields is None:
        raise DraftingError(f"{published.ref} publishes no schema, so I cannot tell what it takes.")
    offered: list[SchemaField] = []
    for field in published.fields:
        is_name = field.name.isidentifier() and len(field.name) <= _MAX_NAME_CHARACTERS
        if not field.is_secret and is_name and not _SAFETY_SWITCH.search(field.name):
            offered.append(field)
        elif field.is_required and field.default is None:
            what = "a secret of yours, which I never ask for" if field.is_secret else "an input that no form can give"
            raise DraftingError(f"{published.ref} needs {flatten_text(field.name)[:_MAX_NAME_CHARACTERS]}: {what}.")
    kept = sorted(offered, key=lambda field: not is_needed(field))[:MAX_RUN_FIELDS]
    if any(is_needed(field) for field in offered if field not in kept):
        raise DraftingError(f"{published.ref} needs more than {MAX_RUN_FIELDS} inputs, which no form can give.")
    return tuple(field for field in offered if field in kept)


def is_needed(field: SchemaField) -> bool:
    """Return whether a run without the field fails."""
    return field.is_required and field.default is None


def make_run_table(
    published: ModelSchema, fields: tuple[SchemaField, ...], *, today: date, max_seconds: int = 0
) -> dict[str, JSON]:
    """Return the entry of a model as in the catalogue file, with the published price or a bound by running time.

    Raise `DraftingError` for an official model without a readable price: its bill does not go by seconds.
    """
    name = published.ref.partition("/")[2].replace("-", " ").replace("_", " ")
    usual = round(published.usual_seconds or 10.0, 1) or 0.1
    bound = max(_LEAST_SECONDS, min(_MOST_SECONDS, round(usual * _SECONDS_FACTOR)))
    return {
        "title": flatten_text(name[:1].upper() + name[1:])[:80] or "Model",
        "description": flatten_text(published.description)[:200],
        "task": str(Task.RUN),
        "ref": published.ref,
        "version": "" if published.is_official else published.version,
        # A schema tells files from text, and not one kind of file from another.
        "output": str(
            OutputKind.FILES if published.output is OutputKind.PICTURES else published.output or OutputKind.TEXT
        ),
        "usual_seconds": min(usual, max_seconds or bound),
        "max_seconds": max_seconds or bound,
        "price": _make_price(published, today),
        "price_fields": dict(_find_price_fields(fields)),
        "context_tokens": _CONTEXT_TOKENS,
        "inputs": {field.name: _make_rule(field) for field in fields},
    }


def _make_price(published: ModelSchema, today: date) -> dict[str, JSON]:
    if not published.price_tiers and published.is_official:
        raise DraftingError(
            f"{published.ref} publishes no price that I can read, so no bound can be told. My owner can add it to the "
            "catalogue with its price."
        )
    if published.price_tiers:
        price = make_price_table(Task.RUN, published, today)
    else:
        tier: JSON = {"per": str(Metric.PREDICT_TIME), "usd": DEAREST_SECOND_USD}
        price = {"tiers": [tier], "source": f"replicate.com/{published.ref}", "read_on": today}
    return {name: str(value) if isinstance(value, date) else value for name, value in price.items()}


def _find_price_fields(fields: tuple[SchemaField, ...]) -> Iterator[tuple[str, str]]:
    names = {field.name for field in fields}
    for option, candidates in _PRICE_FIELDS.items():
        if (found := next((name for name in candidates if name in names), None)) is not None:
            yield option, found


def _make_rule(field: SchemaField) -> dict[str, JSON]:
    if FieldKind.FILE in field.kinds:
        return {"to": field.name, "file": True, "media": _ANY_MEDIA}
    if FieldKind.FILES in field.kinds:
        return {"to": field.name, "files": MAX_FILES, "media": _ANY_MEDIA}
    rule: dict[str, JSON] = {"to": field.name}
    if field.name in _PRICE_FIELDS["max_tokens"] and field.default is None and FieldKind.INTEGER in field.kinds:
        # Without a number of tokens nothing would bound the price of an answer.
        rule["default"] = int(min(_DEFAULT_ANSWER_TOKENS, field.maximum or _DEFAULT_ANSWER_TOKENS))
    elif field.name in (*_COUNT_NAMES, *_PRICE_FIELDS["max_tokens"]) and isinstance(field.default, int | str):
        rule["default"] = field.default  # sent, so that the price counts by the very number
    return rule


def derive_run_model(model: Model, fields: tuple[SchemaField, ...]) -> Model:
    """Return a model of any task with the inputs of its published schema: key, version and price stay."""
    if model.task is Task.RUN:
        return model
    by_option = {option: rule.name for option, rule in model.inputs.items() if option in _PRICE_FIELDS and rule.name}
    rules = {field.name: _make_rule(field) for field in fields}
    return replace(
        model,
        task=Task.RUN,
        inputs={
            name: InputRule(
                name,
                default=rule.get("default"),
                is_file=bool(rule.get("file")) or "files" in rule,
                is_file_list="files" in rule,
                max_files=MAX_FILES if "files" in rule else 1,
                media=ANY_MEDIA,
            )
            for name, rule in rules.items()
        },
        price_fields=dict(_find_price_fields(fields)) | by_option,
        fixed={},
        fallbacks=(),  # another server takes other inputs
        template="",
        context_tokens=model.context_tokens or _CONTEXT_TOKENS,
    )


def describe_changes(before: tuple[SchemaField, ...], after: tuple[SchemaField, ...]) -> list[str]:
    """Return one sentence for each input that a newer version changes."""
    old, new = {field.name: field for field in before}, {field.name: field for field in after}
    lines = [f"`{name}` is gone." for name in old if name not in new]
    for name, field in new.items():
        if name not in old:
            lines.append(f"`{name}` is new{', and needed' if is_needed(field) else ''}.")
            continue
        lines += [f"`{name}`: {change}." for change in _list_differences(old[name], field)]
    return lines


def _list_differences(old: SchemaField, new: SchemaField) -> Iterator[str]:
    if old.kinds != new.kinds:
        yield f"takes {' or '.join(sorted(new.kinds))} instead of {' or '.join(sorted(old.kinds))}"
    if old.default != new.default:
        yield f"the default is {format_value(new.default)} instead of {format_value(old.default)}"
    if (old.minimum, old.maximum) != (new.minimum, new.maximum):
        yield f"the bounds are {new.minimum} to {new.maximum} instead of {old.minimum} to {old.maximum}"
    if old.choices != new.choices:
        yield f"the choices are {', '.join(map(str, new.choices)) or 'free'}"
    if is_needed(old) != is_needed(new):
        yield "needed now" if is_needed(new) else "no longer needed"
