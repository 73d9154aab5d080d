"""One model's rules applied to a command's options: names, bounds, choices, and fields that come along."""

from collections.abc import Mapping

from bot.core.errors import BadOption
from bot.core.json import JSON
from bot.core.models import InputRule, Model
from bot.core.predictions import InputFile


def apply_input_rules(model: Model, options: Mapping[str, JSON | InputFile]) -> dict[str, JSON | InputFile]:
    """The inputs to send; an option that is None is left to the model, unless our rule has a default."""
    inputs: dict[str, JSON | InputFile] = dict(model.fixed)
    for option, rule in model.inputs.items():
        value = options.get(option)
        if value is None:
            value = rule.default
        if value is None:
            continue
        if not isinstance(value, InputFile):
            _check_value(model, option, rule, value)
        inputs.update(_expand_fields(rule, value))
    return inputs


def _expand_fields(rule: InputRule, value: JSON | InputFile) -> Mapping[str, JSON | InputFile]:
    fields: dict[str, JSON | InputFile] = dict(rule.also)
    if rule.expands:
        fields.update(rule.expands[str(value)])
    else:
        fields[rule.name] = value
    return fields


def _check_value(model: Model, option: str, rule: InputRule, value: JSON) -> None:
    if rule.choices and str(value) not in rule.choices:
        raise BadOption(f"{model.title} draws {option} {', '.join(rule.choices)}, not “{value}”.", option=option)
    if isinstance(value, str) and rule.max_length is not None and len(value) > rule.max_length:
        raise BadOption(f"{model.title} takes at most {rule.max_length} characters of {option}.", option=option)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    low, high = rule.minimum, rule.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"from {low:g} to {high:g}" if low is not None and high is not None else f"at least {low or 0:g}"
        raise BadOption(f"{model.title} takes {option} {span}, not {value:g}.", option=option)
