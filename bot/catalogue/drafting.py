"""A catalogue entry drafted from what a model publishes. Its price is left to the owner: backends do not publish it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import tomlkit

from bot.catalogue.loading import TO_FILL_IN
from bot.catalogue.mapping import Rule, fields_of, map_options
from bot.catalogue.toml import comment_item, dump, one_line, value_item
from bot.core.errors import EaselError
from bot.core.json import JSON
from bot.core.models import OutputKind, Task
from bot.core.published import FieldKind, Published, PublishedField

_NEEDED: Mapping[Task, tuple[str, ...]] = {
    Task.IMAGINE: ("prompt",),
    Task.UPSCALE: ("image", "scale"),
    Task.CAPTION: ("image",),
    Task.CHAT: ("prompt", "max_tokens"),
}
"""Options that the commands always give: a model without a field for them cannot serve."""

_USUAL_SECONDS = {Task.IMAGINE: 5.0, Task.UPSCALE: 5.0, Task.CAPTION: 2.0, Task.CHAT: 10.0}
_MAX_SECONDS = {Task.IMAGINE: 120, Task.UPSCALE: 120, Task.CAPTION: 60, Task.CHAT: 300}
_LONGEST_DESCRIPTION = 100
_OF_MOVING_THINGS = {"fps", "num_frames", "frames", "duration", "audio", "voice", "speaker"}


class CannotDraft(EaselError):
    """The model fits no command of the bot, as far as its schema tells."""


@dataclass(frozen=True, slots=True)
class Draft:
    """`text` is the table as TOML; `to_do` what its owner still has to fill in, a sentence each."""

    key: str
    text: str
    to_do: tuple[str, ...]


def draft(published: Published, *, today: date, key: str = "", task: Task | None = None) -> Draft:
    """A table for this model. Without `task` it is guessed from what goes in and comes out; raises `CannotDraft`."""
    if published.fields is None:
        raise CannotDraft(f"{published.ref} publishes no schema to draft from.")
    task = task or _guess(published)
    key = key or key_of(published.ref)
    rules = map_options(task, published)
    fixed = _fixed(task, published, rules)
    to_do = (f"Fill in the price, from {_page(published)}.", *_to_do(task, published, rules, fixed))
    return Draft(key, dump(_document(key, task, published, rules, fixed, to_do, today)), to_do)


def _document(
    key: str,
    task: Task,
    published: Published,
    rules: Mapping[str, Rule],
    fixed: Mapping[str, JSON],
    to_do: Sequence[str],
    today: date,
) -> tomlkit.TOMLDocument:
    table, inputs, document = tomlkit.table(), tomlkit.table(), tomlkit.document()
    for name, value in _about(task, published):
        table.add(name, value_item(value))
    price = value_item(_price(task, published, today))
    table.add("price", price.comment(one_line(f"FILL IN from {_page(published)}")))
    if fixed:
        table.add("fixed", value_item(fixed))
    for option, rule in rules.items():
        inputs.add(option, value_item(rule))
    for sentence in to_do[1:]:
        inputs.add(comment_item(f"FILL IN: {sentence}"))
    for sentence in _asides(published, rules, fixed):
        inputs.add(comment_item(sentence))
    table.add("inputs", inputs)
    document.add(key, table)
    return document


def key_of(ref: str) -> str:
    """Our name for a model: the second half of the backend's, in letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", ref.partition("/")[2].lower()).strip("-") or "model"


def _guess(published: Published) -> Task:
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
    raise CannotDraft(
        f"No command fits {published.ref}, which takes {listed or 'nothing'} and gives {gives}. "
        f"If one does, name it: --task {' or '.join(Task)}."
    )


def _about(task: Task, published: Published) -> Iterator[tuple[str, JSON]]:
    name = published.ref.partition("/")[2].replace("-", " ").replace("_", " ")
    yield "title", one_line(name[:1].upper() + name[1:])
    if published.description:
        yield "description", _shortened(one_line(published.description))
    yield "task", str(task)
    yield "ref", published.ref
    if not published.is_official:
        yield "version", published.version
    yield "output", str(published.output or OutputKind.PICTURES)
    if task is Task.CHAT:
        if _is_llama3(published):
            yield "template", "llama3"
        yield "context_tokens", 8192
    seconds = published.usual_seconds or _USUAL_SECONDS[task]
    yield "usual_seconds", round(seconds, 1) or 0.1
    yield "max_seconds", max(_MAX_SECONDS[task], min(1800, round(seconds * 10)))


def _price(task: Task, published: Published, today: date) -> dict[str, JSON | date]:
    """The unit that is likeliest: tokens for words, pictures for what the backend keeps, else the seconds it runs."""
    if task is Task.CHAT:
        names = ["usd_per_million_tokens_in", "usd_per_million_tokens_out"]
    elif published.is_official and published.output is OutputKind.PICTURES:
        names = ["usd_per_image"]
    else:
        names = ["usd_per_second"]
    return {**dict.fromkeys(names, TO_FILL_IN), "source": _page(published), "read_on": today}


def _fixed(task: Task, published: Published, rules: Mapping[str, Rule]) -> dict[str, JSON]:
    """What the model requires and no option gives, at its own default; and the chat template that is ours."""
    fixed: dict[str, JSON] = {}
    for field in _unmapped(published, rules):
        if field.is_required and field.default is not None:
            fixed[field.name] = field.default
        elif field.is_required and field.choices:
            fixed[field.name] = field.choices[0]
    if task is Task.CHAT and _is_llama3(published) and published.field("prompt_template"):
        fixed["prompt_template"] = "{prompt}"
    return fixed


def _to_do(task: Task, published: Published, rules: Mapping[str, Rule], fixed: Mapping[str, JSON]) -> Iterator[str]:
    if published.output is None:
        yield "The schema does not say what it gives: check output."
    for option in _NEEDED[task]:
        if option not in rules:
            yield f"/{task} always gives {option}, and no field of this model looks like it: name one in inputs."
    for field in _unmapped(published, rules):
        if field.is_required and field.name not in fixed:
            yield f"The model requires {field.name} ({_kinds(field)}): give it a value in fixed."


def _asides(published: Published, rules: Mapping[str, Rule], fixed: Mapping[str, JSON]) -> Iterator[str]:
    names = {field.name for field in published.fields or ()}
    if published.output is OutputKind.PICTURES and names & _OF_MOVING_THINGS:
        yield "It may give videos or sound, which the bot cannot show."
    for field in published.fields or ():
        if FieldKind.FILES in field.kinds and FieldKind.FILE not in field.kinds:
            yield f"{field.name} takes a list of files, which the bot does not send."
    if left := [
        _listed(field) for field in _unmapped(published, rules) if not (field.name in fixed or field.is_required)
    ]:
        yield f"Left to the model: {', '.join(left)}."


def _unmapped(published: Published, rules: Mapping[str, Rule]) -> list[PublishedField]:
    mapped = {name for rule in rules.values() for name in fields_of(rule)}
    return [field for field in published.fields or () if field.name not in mapped]


def _listed(field: PublishedField) -> str:
    choices = "|".join(str(choice) for choice in field.choices[:8])
    return f"{field.name} ({choices or _kinds(field)})"


def _kinds(field: PublishedField) -> str:
    return " or ".join(sorted(field.kinds))


def _is_llama3(published: Published) -> bool:
    return "llama-3" in published.ref


def _page(published: Published) -> str:
    return f"replicate.com/{published.ref}"


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_DESCRIPTION:
        return text
    return text[:_LONGEST_DESCRIPTION].rsplit(" ", 1)[0].rstrip(",;:") + "…"
