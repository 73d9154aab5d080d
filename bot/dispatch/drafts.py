"""Forms that a button opens: a command filled in as far as its job tells, for a person to change and send."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.dispatch.declaration import Declaration

OptionValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class FormDraft:
    """What to show. `values` hold what is known of the options; files are known by the job and are not among them."""

    declaration: Declaration
    values: Mapping[str, OptionValue]
    title: str
    """A few words for the form's head, e.g. "Edit prompt"."""
    option_names: tuple[str, ...] = ()
    """The options worth asking for, most important first; all of them when empty."""
