"""Fill the typed form of a command from an invocation's options, each value checked against the declaration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.errors import BadOption
from bot.core.invocations import Attachment, Invocation, Link
from bot.dispatch.declaration import Command, Declaration, Option, OptionKind, OptionValue


@dataclass(frozen=True, slots=True)
class FormDraft:
    """The form of a button. `values` are the job's options without files: the job keeps the files."""

    declaration: Declaration
    values: Mapping[str, OptionValue]
    title: str
    """The heading, a few words such as "Edit prompt"."""
    option_names: tuple[str, ...] = ()
    """The options in the form, most important first; empty for all options."""
    asks_files: bool = False
    """Whether the form asks for files too, on platforms whose forms take files."""


_WHOLE = re.compile(r"[+-]?\d{1,30}")
# No model takes a larger integer.
_LARGEST = 2**63 - 1
# "7,5" is seven and a half; "1,000,000" and "1,000" are thousands, as the bot's own replies write numbers. A group with
# a zero at its head is never a thousand: "0,125" and "00,750" are decimals.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:,\d{3}){2,}|(?:,\d{3})+\.\d+|,000)")
# The same with the signs of other languages: "1.500,25" and "1.000.000".
_DOTTED_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:\.\d{3}){2,}|(?:\.\d{3})+,\d+)")
# Fifteen hundred in some languages, one and a half in others.
_AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
# Mentions of a person, a role and a channel inside text, on Discord and in Slack.
_MENTION = re.compile(r"<(?:@[!&]?|#|!subteam\^)([A-Za-z0-9]+)(?:\|[^>]*)?>")
# An address as people type it: `example.org/a.png`.
_HOST_AND_PATH = re.compile(r"(?:[\w-]+\.)+[^\W\d_]{2,}(?::\d+)?/\S*")
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def fill_form(form: type[Command], invocation: Invocation) -> Command:
    """Return the filled form. Raise `BadOption` with a sentence about the option and its bounds."""
    values = {option.field: _read_option(option, invocation) for option in form.declaration.options}
    return form(**values)


def _read_option(option: Option, invocation: Invocation) -> Any:
    if option.kind is OptionKind.FILE:
        files = read_files(option, invocation)
        return files if option.is_list else next(iter(files), None)
    raw = invocation.options.get(option.name)
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return _get_default(option, invocation.options)
    return read_value(option, raw)


def read_value(option: Option, raw: OptionValue) -> Any:
    """Return the value of an option that is no file. Raise `BadOption` with the bounds."""
    value = _PARSERS[option.kind](option, raw)
    _check_bounds(option, value)
    return _match_choice(option, value) if option.choices else value


def _get_default(option: Option, options: Mapping[str, Any]) -> Any:
    if not option.is_required:
        return option.default
    if option.name in options:
        raise BadOption(f"{option.name} is empty: {option.question}", option=option.name)
    raise BadOption(f"{option.name} is missing: {option.question}", option=option.name)


def read_files(option: Option, invocation: Invocation) -> tuple[Attachment | Link, ...]:
    """Return the files and links of an option, in order. Raise `BadOption` for a required option without any."""
    files: list[Attachment | Link] = []
    for name in option.file_names:
        if (attachment := invocation.attachments.get(name)) is not None:
            files.append(attachment)
        elif address := str(invocation.options.get(name) or "").strip().removeprefix("<").removesuffix(">"):
            files.append(Link(f"https://{address}" if _HOST_AND_PATH.fullmatch(address) else address))
    if option.is_required and not files:
        raise BadOption(
            f"{option.name} is missing: {option.question} Attach a file or give a link.", option=option.name
        )
    return tuple(files)


def _parse_text(option: Option, raw: Any) -> str:
    text = str(raw).strip()
    if option.max_length is not None and len(text) > option.max_length:
        over = len(text) - option.max_length
        raise BadOption(
            f"{option.name} is {over} characters too long: at most {option.max_length}, please.", option=option.name
        )
    return text


def _parse_integer(option: Option, raw: Any) -> int:
    if isinstance(raw, str) and _WHOLE.fullmatch(raw.strip()):
        whole = int(raw.strip())  # without a float in between, which rounds seeds above 2**53
    elif (number := _parse_number(option, raw)).is_integer():
        whole = int(number)
    else:
        raise BadOption(f"{option.name} must be a whole number, not {raw}.", option=option.name)
    if abs(whole) > _LARGEST:
        raise BadOption(f"{option.name} is too large a number.", option=option.name)
    return whole


def _parse_number(option: Option, raw: Any) -> float:
    # Phones and copied tables write a minus sign of their own.
    text = str(raw).strip().replace("\u2212", "-")
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif _DOTTED_THOUSANDS.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif _AMBIGUOUS.fullmatch(text):
        return _choose_reading(option, text)
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        raise BadOption(f"{option.name} must be a number, not “{raw}”.", option=option.name) from None
    if number != number or number in (float("inf"), float("-inf")):
        raise BadOption(f"{option.name} must be a number, not “{raw}”.", option=option.name)
    return number


def _choose_reading(option: Option, text: str) -> float:
    """Return the only reading of "1,500" that the option allows. Raise `BadOption` with the question for two."""
    whole, decimal = float(text.replace(",", "")), float(text.replace(",", "."))
    readings = [whole] if option.kind is OptionKind.INTEGER else [whole, decimal]
    allowed = [number for number in readings if _is_within_bounds(option, number)]
    if len(allowed) > 1:
        raise BadOption(
            f"{option.name}: is “{text}” {whole:.15g} or {decimal:.15g}? Please write the number without a comma.",
            option=option.name,
        )
    return allowed[0] if allowed else readings[-1]


def _parse_flag(option: Option, raw: Any) -> bool:
    word = str(raw).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise BadOption(f"{option.name} is yes or no, not “{raw}”.", option=option.name)


def _parse_mention(option: Option, raw: Any) -> str:
    text = _parse_text(option, raw)
    match = _MENTION.fullmatch(text)
    name = match[1] if match else text.lstrip("@#").strip()
    if not name:
        raise BadOption(f"{option.name} is empty: {option.question}", option=option.name)
    return name


_PARSERS = {
    OptionKind.TEXT: _parse_text,
    OptionKind.PERSON: _parse_mention,
    OptionKind.ROLE: _parse_mention,
    OptionKind.CHANNEL: _parse_mention,
    OptionKind.INTEGER: _parse_integer,
    OptionKind.NUMBER: _parse_number,
    OptionKind.FLAG: _parse_flag,
}


def _check_bounds(option: Option, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if not _is_within_bounds(option, value):
        bounds = format_bounds(option.minimum, option.maximum)
        raise BadOption(f"{option.name} must be {bounds}, not {_format_number(value)}.", option=option.name)


def _is_within_bounds(option: Option, value: float) -> bool:
    low, high = option.minimum, option.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def format_bounds(low: float | None, high: float | None) -> str:
    """Return bounds in words: "from 1 to 4", "at least 0", "at most 8"."""
    if low is not None and high is not None:
        return f"from {_format_number(low)} to {_format_number(high)}"
    return f"at least {_format_number(low)}" if low is not None else f"at most {_format_number(high or 0)}"


def _format_number(number: float) -> str:
    """Return a number such as "1,000,000" or "0.1"."""
    return f"{number:,.15g}"


def _match_choice(option: Option, value: Any) -> Any:
    for choice in option.choices:
        if choice.lower() == str(value).lower():
            return choice
    raise BadOption(f"{option.name} must be one of {', '.join(option.choices)}, not “{value}”.", option=option.name)
