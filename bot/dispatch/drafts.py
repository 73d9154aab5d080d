"""Forms that a button opens: a command filled in as far as its job tells, for a person to change and send."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.dispatch.declaration import Declaration

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Draft:
    """What to show. `values` hold what is known of the options; files are known by the job and are not among them."""

    declaration: Declaration
    values: Mapping[str, Value]
    title: str
    """A few words for the form's head, e.g. "Edit prompt"."""
    asks_for: tuple[str, ...] = ()
    """The options worth asking for, most important first; all of them when empty."""
