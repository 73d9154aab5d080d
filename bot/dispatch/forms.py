"""Forms that a button opens: a command filled in as far as its job tells, for a person to change and send."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.errors import BadOption
from bot.core.invocations import Invocation, Link
from bot.dispatch.declaration import Command, Declaration, Option, OptionKind, OptionValue


@dataclass(frozen=True, slots=True)
class FormDraft:
    """What to show. `values` hold what is known of the options; files are known by the job and are not among them."""

    declaration: Declaration
    values: Mapping[str, OptionValue]
    title: str
    """A few words for the form's head, e.g. "Edit prompt"."""
    option_names: tuple[str, ...] = ()
    """The options worth asking for, most important first; all of them when empty."""


# MERGED An invocation's options into the command's typed form, each checked against its declaration.

_WHOLE = re.compile(r"[+-]?\d{1,30}")
_LARGEST = 2**63 - 1
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")  # as the bot itself writes them
# How Discord and Slack write a person, a role and a channel inside text.
_MENTION = re.compile(r"<(?:@[!&]?|#|!subteam\^)([A-Za-z0-9]+)(?:\|[^>]*)?>")
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def fill_form(form: type[Command], invocation: Invocation) -> Command:
    """The filled-in form; raises `BadOption` with one sentence that names the option and its bounds."""
    values = {option.name: _read(option, invocation) for option in form.declaration.options}
    return form(**values)


def _read(option: Option, invocation: Invocation) -> Any:
    if option.kind is OptionKind.FILE:
        return _file(option, invocation)
    raw = invocation.options.get(option.name)
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return _missing(option, invocation.options)
    value = _READERS[option.kind](option, raw)
    _check_bounds(option, value)
    return _chosen(option, value) if option.choices else value


def _missing(option: Option, options: Mapping[str, Any]) -> Any:
    if not option.is_required:
        return option.default
    if option.name in options:
        raise BadOption(f"{option.name} is empty: {option.question}", option=option.name)
    raise BadOption(f"{option.name} is missing: {option.question}", option=option.name)


def _file(option: Option, invocation: Invocation) -> Any:
    if (attachment := invocation.attachments.get(option.name)) is not None:
        return attachment
    address = str(invocation.options.get(option.name) or "").strip().removeprefix("<").removesuffix(">")
    if address:
        return Link(address)
    if option.is_required:
        raise BadOption(
            f"{option.name} is missing: {option.question} Attach a file or give a link.", option=option.name
        )
    return None


def _text(option: Option, raw: Any) -> str:
    text = str(raw).strip()
    if option.max_length is not None and len(text) > option.max_length:
        over = len(text) - option.max_length
        raise BadOption(
            f"{option.name} is {over} characters too long: at most {option.max_length}, please.", option=option.name
        )
    return text


def _integer(option: Option, raw: Any) -> int:
    if isinstance(raw, str) and _WHOLE.fullmatch(raw.strip()):
        whole = int(raw.strip())  # exactly: a seed has more digits than a float keeps
    elif (number := _number(option, raw)).is_integer():
        whole = int(number)
    else:
        raise BadOption(f"{option.name} must be a whole number, not {raw}.", option=option.name)
    if abs(whole) > _LARGEST:
        raise BadOption(f"{option.name} is too large a number.", option=option.name)
    return whole


def _number(option: Option, raw: Any) -> float:
    try:
        text = str(raw).strip()
        number = float(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text.replace(",", "."))
    except ValueError:
        raise BadOption(f"{option.name} must be a number, not “{raw}”.", option=option.name) from None
    if number != number or number in (float("inf"), float("-inf")):
        raise BadOption(f"{option.name} must be a number, not “{raw}”.", option=option.name)
    return number


def _flag(option: Option, raw: Any) -> bool:
    word = str(raw).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise BadOption(f"{option.name} is yes or no, not “{raw}”.", option=option.name)


def _mentioned(option: Option, raw: Any) -> str:
    text = _text(option, raw)
    match = _MENTION.fullmatch(text)
    name = match[1] if match else text.lstrip("@#").strip()
    if not name:
        raise BadOption(f"{option.name} is empty: {option.question}", option=option.name)
    return name


_READERS = {
    OptionKind.TEXT: _text,
    OptionKind.PERSON: _mentioned,
    OptionKind.ROLE: _mentioned,
    OptionKind.CHANNEL: _mentioned,
    OptionKind.INTEGER: _integer,
    OptionKind.NUMBER: _number,
    OptionKind.FLAG: _flag,
}


def _check_bounds(option: Option, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    low, high = option.minimum, option.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        raise BadOption(f"{option.name} must be {format_bounds(low, high)}, not {_figure(value)}.", option=option.name)


def format_bounds(low: float | None, high: float | None) -> str:
    """Bounds in words: "from 1 to 4", "at least 0", "at most 8"."""
    if low is not None and high is not None:
        return f"from {_figure(low)} to {_figure(high)}"
    return f"at least {_figure(low)}" if low is not None else f"at most {_figure(high or 0)}"


def _figure(number: float) -> str:
    """A number as people read it: "1,000,000", "0.1"."""
    return f"{number:,.15g}"


def _chosen(option: Option, value: Any) -> Any:
    for choice in option.choices:
        if choice.lower() == str(value).lower():
            return choice
    raise BadOption(f"{option.name} must be one of {', '.join(option.choices)}, not “{value}”.", option=option.name)
