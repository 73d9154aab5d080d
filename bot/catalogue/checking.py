"""Compare a catalogue entry with the model's published schema: one sentence, with the change, for each mismatch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.catalogue.loading import format_usd
from bot.catalogue.option_mapping import OPTION_KINDS, explain_mismatch, format_kinds, format_value
from bot.core.json import JSON
from bot.core.models import (
    MAX_UNASKED_MICROS,
    FieldKind,
    InputRule,
    Model,
    ModelSchema,
    Price,
    PriceTier,
    SchemaField,
)

_NUMBER_KINDS = {FieldKind.INTEGER, FieldKind.NUMBER}


@dataclass(frozen=True, slots=True)
class CatalogueFinding:
    """One sentence about an entry. An error makes requests fail; other findings are advice."""

    text: str
    is_error: bool = True


def check_model(model: Model, published: ModelSchema) -> list[CatalogueFinding]:
    """Return the findings in the order of the entry. `published` describes the version that the entry runs."""
    findings = [*_check_version(model, published), *_check_agreement(model)]
    findings += [CatalogueFinding(problem) for problem in published.problems]
    if published.fields is None:
        return [*findings, CatalogueFinding("publishes no schema, so its inputs cannot be checked.", is_error=False)]
    findings += [CatalogueFinding(text) for text in _check_output(model, published)]
    for name, value in model.fixed.items():
        findings += [CatalogueFinding(text) for text in _check_sent_value(published, "fixed", name, value)]
    for option, rule in model.inputs.items():
        findings += [CatalogueFinding(text) for text in _check_rule(published, option, rule)]
    return [*findings, *(CatalogueFinding(text) for text in _find_missing_fields(model, published))]


def _check_version(model: Model, published: ModelSchema) -> Iterator[CatalogueFinding]:
    newest = published.newest_version
    if not model.version and not published.is_official and not model.deployment:
        pin = f': add version = "{newest}"' if newest else ", and it has none"
        yield CatalogueFinding(f"is not kept current by the backend, so it needs a version{pin}.")
    elif model.version and published.version != model.version:
        yield CatalogueFinding(
            f'runs another version than the entry pins: set version = "{published.version}", or leave it out.'
        )
    elif model.version and newest and newest != model.version and not model.deployment:
        yield CatalogueFinding(
            f'has a newer version: set version = "{newest}" and check again to move to it.', is_error=False
        )


def _check_agreement(model: Model) -> Iterator[CatalogueFinding]:
    price = model.price
    if not price.objection:
        return
    advice = f"Fill in price.tiers from {price.source}."
    if price.is_known:
        advice = f"See {price.source}, and set price.agreed = true if you agree."
    yield CatalogueFinding(f"is off: it {price.objection}. {advice}", is_error=False)


def check_price(price: Price, published: Sequence[PriceTier]) -> list[CatalogueFinding]:
    """Return the drift between an entry's price and the published tiers. A dearer published price is an error."""
    if not published:
        return [CatalogueFinding("publishes no price that could be read.", is_error=False)]
    findings = [finding for tier in published if (finding := _compare_tier(price, tier)) is not None]
    for metric in price.metrics:
        if metric not in {tier.metric for tier in published}:
            findings.append(CatalogueFinding(f"publishes no price for each {metric}, as the entry has.", False))
    return findings


def _compare_tier(price: Price, published: PriceTier) -> CatalogueFinding | None:
    """Compare one published tier with the entry's price for a request with the same values of inputs."""
    inputs = {name: values[0] for name, values in published.when.items()}
    condition = " and ".join(f"{name} = {format_value(value)}" for name, value in inputs.items())
    found = f"publishes ${format_usd(published.micros)} for each {published.metric}{' when ' * bool(inputs)}{condition}"
    if not price.is_known or published.metric not in price.metrics:
        missing = "has no price" if not price.is_known else "does not count"
        return CatalogueFinding(f"{found}, which the entry {missing}: add a tier to price.tiers.")
    ours = price.find_rate(published.metric, inputs)
    if ours == published.micros:
        return None
    advice = f"not ${format_usd(ours)}: set usd in price.tiers, and price.read_on."
    if published.micros > MAX_UNASKED_MICROS[published.metric] and not price.is_agreed:
        advice = f"not ${format_usd(ours)}: more than an owner is charged unasked. Leave such requests out, or agree."
    return CatalogueFinding(f"{found}, {advice}", is_error=published.micros > ours)


def _check_output(model: Model, published: ModelSchema) -> Iterator[str]:
    # A schema tells files from text, and not one kind of file from another.
    are_files = published.output is not None and not published.output.is_text and not model.output.is_text
    if published.output is not None and published.output is not model.output and not are_files:
        yield f'gives {published.output}, not {model.output}: set output = "{published.output}".'


def _find_missing_fields(model: Model, published: ModelSchema) -> Iterator[str]:
    sent = set(model.fixed) | {name for rule in model.inputs.values() for name in _list_sent_fields(rule)}
    for field in published.fields or ():
        if field.is_required and sent.isdisjoint((field.name, *field.aliases)):
            kinds = format_kinds(field, article="a ")
            yield f"requires {field.name} ({kinds}), which is never sent: add it to inputs or to fixed."


def _list_sent_fields(rule: InputRule) -> set[str]:
    """Return the fields that each use of the option sends. `also` does not count: the option may be rarely used."""
    return {name for fields in rule.expands.values() for name in fields} if rule.expands else {rule.name}


def _check_rule(published: ModelSchema, option: str, rule: InputRule) -> Iterator[str]:
    for name in (rule.size.width, rule.size.height) if rule.size is not None else ():
        if published.find_field(name) is None:
            yield _describe_removed_field(published, f"inputs.{option}.size", name)
    for name, value in rule.also.items():
        yield from _check_sent_value(published, f"inputs.{option}.also", name, value)
    if rule.expands:
        for choice, fields in rule.expands.items():
            for name, value in fields.items():
                yield from _check_sent_value(published, f'inputs.{option}.expands."{choice}"', name, value)
        return
    field = published.find_field(rule.name)
    if field is None:
        if not published.is_open:
            yield _describe_removed_field(published, f"inputs.{option}", rule.name)
        return
    yield from _check_kind(option, rule, field)
    yield from _check_choices(option, rule, field)
    yield from _check_bounds(option, rule, field)
    if rule.default is not None and (wrong := explain_mismatch(field, rule.default)):
        yield f"does not take the default {format_value(rule.default)} of inputs.{option}: {wrong}."


def _check_sent_value(published: ModelSchema, where: str, name: str, value: JSON) -> Iterator[str]:
    """Check a value that the entry itself sends."""
    field = published.find_field(name)
    if field is None:
        if not published.is_open:
            yield _describe_removed_field(published, where, name)
    elif wrong := explain_mismatch(field, value):
        yield f"does not take {name} = {format_value(value)} of {where}: {wrong}."


def _describe_removed_field(published: ModelSchema, where: str, name: str) -> str:
    known = ", ".join(field.name for field in published.fields or ())
    return f"has no field {name} any more: take it out of {where}, or name another of {known}."


def _check_kind(option: str, rule: InputRule, field: SchemaField) -> Iterator[str]:
    takes_file = FieldKind.FILE in field.kinds
    kinds = format_kinds(field, article="a ")
    if rule.is_file_list and FieldKind.FILES not in field.kinds:
        yield f"takes {kinds} for {field.name}, not a list of files: take files = … out of inputs.{option}."
    elif rule.is_file and not rule.is_file_list and FieldKind.FILES in field.kinds and not takes_file:
        yield (
            f"takes a list of files for {field.name}, and inputs.{option} sends one file: write files = 4, or the most "
            "that the model accepts, instead of file = true."
        )
    elif rule.is_file and not rule.is_file_list and not takes_file:
        yield f"takes {kinds} for {field.name}, not a file: take file = true out of inputs.{option}."
    elif not rule.is_file and field.kinds == {FieldKind.FILE}:
        yield f"takes a file for {field.name}: add file = true to inputs.{option}."
    elif _is_number(option, rule) and not field.kinds & _NUMBER_KINDS and FieldKind.OTHER not in field.kinds:
        yield f"takes {kinds} for {field.name}, and {option} is a number: use expands in inputs.{option}."


def _check_choices(option: str, rule: InputRule, field: SchemaField) -> Iterator[str]:
    if not field.choices or (_is_number(option, rule) and not field.kinds & _NUMBER_KINDS):
        return
    accepted = [str(choice) for choice in field.choices]
    if refused := [choice for choice in rule.choices if choice not in accepted]:
        yield (
            f"does not take {', '.join(refused)} for {field.name}: take {_choose_pronoun(refused)} out of the "
            f"choices of inputs.{option}; it takes {', '.join(accepted)}."
        )
    elif not rule.choices:
        listed = ", ".join(format_value(choice) for choice in accepted)
        yield f"takes only some values for {field.name}: add choices = [{listed}] to inputs.{option}."


def _is_number(option: str, rule: InputRule) -> bool:
    return OPTION_KINDS.get(option) in _NUMBER_KINDS or not (rule.minimum is None and rule.maximum is None)


def _check_bounds(option: str, rule: InputRule, field: SchemaField) -> Iterator[str]:
    if not field.kinds & _NUMBER_KINDS:
        if field.max_length is not None and (rule.max_length is None or rule.max_length > field.max_length):
            maximum = field.max_length
            yield f"takes at most {maximum} characters of {field.name}: set max_length = {maximum} in inputs.{option}."
        return
    low, high = field.minimum, field.maximum
    if low is not None and (rule.minimum is None or rule.minimum < low):
        difference = _format_difference(rule.minimum)
        yield f"takes {field.name} from {low:g} on{difference}: set minimum = {low:g} in inputs.{option}."
    if high is not None and (rule.maximum is None or rule.maximum > high):
        difference = _format_difference(rule.maximum)
        yield f"takes {field.name} up to {high:g}{difference}: set maximum = {high:g} in inputs.{option}."


def _format_difference(bound: float | None) -> str:
    return "" if bound is None else f", not {bound:g}"


def _choose_pronoun(things: list[str]) -> str:
    return "it" if len(things) == 1 else "them"
