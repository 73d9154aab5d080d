"""One command, one declaration: a typed form from which every platform draws its own.

    @command("imagine", task=Task.IMAGINE)
    class Imagine(Command):
        \"""Draw pictures from words.\"""

        prompt: str = option("What should the picture show?", max_length=1500)

The docstring is the description, the fields are the options, `answer` is what happens.
"""

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import (
    Any,
    ClassVar,
    NewType,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from bot.catalogue.catalogue import Catalogue
from bot.conversations.conversations import Conversations
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.credits import Credits
from bot.credits.pricing import estimate_cost
from bot.dispatch.notices import Notices
from bot.jobs.jobs import Jobs
from bot.media.media import Media
from bot.moderation.moderation import Moderation

REQUIRED: Any = dataclasses.MISSING
"""The default of an option that must be given."""

OptionValue = str | int | float | bool
"""A value of an option as a platform delivers it, before `forms.fill_form` checks it."""


PersonOption = NewType("PersonOption", str)
"""Who: the platform's id of a person, or their name where it knows no ids."""

RoleOption = NewType("RoleOption", str)
"""Which role or user group: the platform's id of it, or its name."""

ChannelOption = NewType("ChannelOption", str)
"""Which channel: the platform's id of it, or its name."""


class OptionKind(StrEnum):
    """What a person fills in; forms choose their field by it."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    FILE = "file"
    PERSON = "person"
    ROLE = "role"
    CHANNEL = "place"


MAX_CHOICES = 25
"""Suggestions for one option; Discord takes no more (docs.discord.com, application command option choices)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One suggestion: what a person reads, and the value it stands for."""

    label: str
    value: str


Autocomplete = Callable[["Services", str], Sequence[Choice]]
"""Suggestions for what was typed so far, best first, at most 25; from memory only."""


@dataclass(frozen=True, slots=True)
class Option:
    """One field of a command's form, as declared."""

    name: str
    kind: OptionKind
    question: str
    is_required: bool
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    autocomplete: Autocomplete | None = None
    words: bool = False
    """Takes all the words typed after the command that belong to no option; without one they fill options in order."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a command says of itself."""

    name: str
    description: str
    options: tuple[Option, ...]
    task: Task | None
    rank: Rank
    is_private: bool
    contexts: Mapping[str, str]
    """Kinds of message it can be started on, and what it is called there, e.g. `{"picture": "Upscale"}`."""
    works_anywhere: bool = False
    """Whether it can be asked in a workspace that is not allowed yet."""

    @property
    def name_parts(self) -> tuple[str, ...]:
        """`quota grant` is a command of its own, and platforms that know groups show it as one of `quota`."""
        return tuple(self.name.split(" "))

    def option(self, name: str) -> Option | None:
        return next((option for option in self.options if option.name == name), None)

    @property
    def words_option(self) -> Option | None:
        """The option that takes the free words, if any."""
        return next((option for option in self.options if option.words), None)

    @property
    def file_option(self) -> Option | None:
        """The option that takes a picture, if any."""
        return next((option for option in self.options if option.kind is OptionKind.FILE), None)


def option(
    question: str,
    *,
    default: Any = REQUIRED,
    minimum: float | None = None,
    maximum: float | None = None,
    max_length: int | None = None,
    choices: Sequence[str] = (),
    autocomplete: Autocomplete | None = None,
    words: bool = False,
) -> Any:
    """Declare one option of a command: its question, its bounds, and what it is when nobody says."""
    limits = {"minimum": minimum, "maximum": maximum, "max_length": max_length}
    metadata = {"question": question, "choices": tuple(choices), "autocomplete": autocomplete, "words": words, **limits}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(frozen_default=True, field_specifiers=(option,))
class Command:
    """A typed form with an answer. Subclasses become frozen dataclasses."""

    declaration: ClassVar[Declaration]

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    async def answer(self, invocation: Invocation, services: "Services") -> Reply | None:
        """Do it. A reply is shown at once; None when a job was started, whose own message follows."""
        raise NotImplementedError


C = TypeVar("C", bound=Command)


def command(
    name: str,
    *,
    task: Task | None = None,
    rank: Rank = Rank.USER,
    private: bool = False,
    contexts: Mapping[str, str] | None = None,
    works_anywhere: bool = False,
) -> Callable[[type[C]], type[C]]:
    """Declare a command under the name that people type, of one to three words."""

    def declare(form: type[C]) -> type[C]:
        form.declaration = Declaration(
            name=name,
            description=(inspect.getdoc(form) or "").splitlines()[0],
            options=_options_of(form),
            task=task,
            rank=rank,
            is_private=private,
            contexts=contexts or {},
            works_anywhere=works_anywhere,
        )
        return form

    return declare


def _options_of(form: type[Command]) -> tuple[Option, ...]:
    hints = get_type_hints(form)
    fields = [field for field in dataclasses.fields(form) if "question" in field.metadata]  # type: ignore[arg-type]  # made one above
    return tuple(
        Option(
            name=field.name,
            kind=_kind_of(hints[field.name]),
            is_required=field.default is REQUIRED,
            default=None if field.default is REQUIRED else field.default,
            **field.metadata,
        )
        for field in fields
    )


_KINDS: dict[Any, OptionKind] = {
    str: OptionKind.TEXT,
    int: OptionKind.INTEGER,
    float: OptionKind.NUMBER,
    bool: OptionKind.FLAG,
    PersonOption: OptionKind.PERSON,
    RoleOption: OptionKind.ROLE,
    ChannelOption: OptionKind.CHANNEL,
    Attachment: OptionKind.FILE,
    Link: OptionKind.FILE,
}


def _kind_of(hint: Any) -> OptionKind:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    return _KINDS[hint]


# MERGED The services that a command may use.


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every command's `answer`."""

    jobs: Jobs
    conversations: Conversations
    catalogue: Catalogue
    credits: Credits
    moderation: Moderation
    notices: Notices
    media: Media
    menu: Sequence[type[Command]]


# MERGED Suggestions while somebody types; from memory only, since a platform waits for them.


def models_for(task: Task) -> Autocomplete:
    """The models of a task with their prices: those that begin with what was typed first, then those that hold it."""

    def suggest(services: Services, typed: str) -> Sequence[Choice]:
        wanted = typed.strip().lower()
        models = [m for m in services.catalogue.list_for_task(task) if wanted in m.key or wanted in m.title.lower()]
        models.sort(key=lambda model: not model.key.startswith(wanted))
        form = services.credits.formatter
        return [Choice(f"{m.title} · {form.format_estimate(estimate_cost(m, {}))}", m.key) for m in models][
            :MAX_CHOICES
        ]

    return suggest
