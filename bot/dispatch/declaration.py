"""The typed form of a command, the source of each platform's form.

    @command("imagine", task=Task.IMAGINE)
    class Imagine(Command):
        \"""Draw pictures from words.\"""

        prompt: str = option("What should the picture show?", max_length=1500)

The docstring is the description, the fields are the options, `answer` runs the command.
"""

import dataclasses
import inspect
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from bot.core.backend import InputFile
from bot.core.errors import BadOption, UserError
from bot.core.file_types import PICTURES, RECORDINGS, MediaKind, format_kinds
from bot.core.invocations import Attachment, Invocation, Link, name_file
from bot.core.json import JSON
from bot.core.models import Model, Task
from bot.core.people import Rank, User, Workspace
from bot.core.replies import Reply
from bot.credits.credits import Credits
from bot.credits.pricing import estimate_cost
from bot.dispatch.confirmation import Confirmations
from bot.dispatch.model_runs import ModelRuns
from bot.dispatch.notices import Notices
from bot.dispatch.paint_links import PaintLinks
from bot.jobs.jobs import Jobs
from bot.jobs.webhooks import Webhooks
from bot.media.media import Media
from bot.moderation.moderation import Moderation
from bot.storage.models import Preset

REQUIRED: Any = dataclasses.MISSING
"""The default of a required option."""

OptionValue = str | int | float | bool
"""A value of an option as a platform delivers it, before `forms.fill_form` checks it."""

# The id of a person, of a role or user group, or of a channel; on a platform without ids the name.
PersonOption = NewType("PersonOption", str)
RoleOption = NewType("RoleOption", str)
ChannelOption = NewType("ChannelOption", str)


F = TypeVar("F", bound=Attachment | Link)


class OptionKind(StrEnum):
    """The kind of an option's value; a platform's form has a field for each."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    FILE = "file"
    PERSON = "person"
    ROLE = "role"
    CHANNEL = "place"


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


@dataclass(frozen=True, slots=True)
class Choice:
    """A suggestion for an option: the label for people, and the value."""

    label: str
    value: str


# Discord shows at most 25 choices (docs.discord.com, interactions/application-commands).
_MIN_TOLD_WAIT_SECONDS = 5.0
MAX_CHOICES = 25

CONTEXT_MEDIA: Mapping[str, tuple[MediaKind, ...]] = {"picture": PICTURES, "recording": RECORDINGS}
"""The kinds of files by the kind of message of a menu's entry."""

MAX_PICTURES = 4
"""Pictures in one request; the page uploads as many files at once."""

Autocomplete = Callable[["Services", str, Mapping[str, OptionValue]], Sequence[Choice]]
"""Return suggestions for the typed beginning and the other options so far, best first, at most `MAX_CHOICES`.

Suggestions come from memory: Discord drops a reply after three seconds.
"""

Prepare = Callable[["Services", User], Awaitable["Services"]]
"""Read what suggestions for a user need into memory: return the services with it."""


@dataclass(frozen=True, slots=True)
class Option:
    """A field of a command's form."""

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
    """Whether the option takes all typed words outside other options.

    In a command without such an option, free words fill the options in order.
    """
    quotes: bool = False
    """Whether the words of the message replied to fill the option when it is left out."""
    field: str = ""
    """The field of the command's class."""
    max_files: int = 1
    """The most files of an option for files."""
    is_list: bool = False
    """Whether the field is a tuple of files."""
    media: tuple[MediaKind, ...] = PICTURES
    """The kinds of files of an option for files."""
    is_read: bool = False
    """Whether the text of the files joins the option for words: see `plain_text.read_given_files`."""
    on_page: bool = True
    """Whether the page's forms offer the option: the page may have a better way."""
    searches: bool = False
    """Whether suggestions search the backend's published models: see `ModelRuns.search_ahead`."""
    prepare: Prepare | None = None
    """Reads the rows that the suggestions name; None for suggestions from memory alone."""

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of the option's files: `image`, `image2`, …; the name alone for other options."""
        return tuple(name_file(self.name, n) for n in range(self.max_files))


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An entry in the menu of a message with a file: the kind of the file, the label, and the given options.

    A message with a `recording` has a sound or a video.
    """

    kind: str
    label: str
    description: str = ""
    """Empty for the command's own description."""
    options: Mapping[str, OptionValue] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declaration:
    """A command's name, description, options and rights, as the platforms and the help show them."""

    name: str
    description: str
    options: tuple[Option, ...]
    task: Task | None
    rank: Rank
    is_private: bool
    menu_entries: tuple[MenuEntry, ...] = ()
    """The command's entries in the menu of a message."""
    works_anywhere: bool = False
    """Whether the command also works in a workspace without permission."""

    @property
    def name_parts(self) -> tuple[str, ...]:
        """The words of the name. Discord shows `quota grant` as a subcommand of `quota`."""
        return tuple(self.name.split(" "))

    def option(self, name: str) -> Option | None:
        """Return the option of that name, or with a file of that name such as `image2`."""
        return next((option for option in self.options if name in option.file_names), None)

    @property
    def words_option(self) -> Option | None:
        """The option for free words, if any."""
        return next((option for option in self.options if option.words), None)

    @property
    def file_option(self) -> Option | None:
        """The first option for a file, if any."""
        return next(iter(self.file_options), None)

    @property
    def file_options(self) -> tuple[Option, ...]:
        """The options for files, in order."""
        return tuple(option for option in self.options if option.kind is OptionKind.FILE)

    @property
    def media(self) -> tuple[MediaKind, ...]:
        """The kinds of files that the options for files take, without files that are read into the words."""
        return tuple(dict.fromkeys(kind for option in self.file_options if not option.is_read for kind in option.media))

    @property
    def reading_option(self) -> Option | None:
        """The option for files that are read into the words, if any."""
        return next((option for option in self.file_options if option.is_read), None)

    @property
    def message_media(self) -> tuple[MediaKind, ...]:
        """The kinds of files that the command takes from a message by the message's menu."""
        return tuple(dict.fromkeys(kind for entry in self.menu_entries for kind in CONTEXT_MEDIA[entry.kind]))

    def explain_no_file(self) -> str:
        """Return the sentence for a message without a file for the command in the message's menu."""
        return f"There is no {format_kinds(self.message_media).removeprefix('a ')} in that message."

    def assign_files(self, files: Sequence[F]) -> dict[str, F]:
        """Return the files of a message by name: each goes to the first option that takes the file's kind.

        A file that no option takes goes to the first option, which says what the file is. Of several files an option
        for one file takes the first. Raise `BadOption` for more files than an option for several files takes.
        """
        options = self.file_options
        named: dict[str, F] = {}
        for option in options:
            taken = [file for file in files if self._choose_option(file) is option]
            if option.is_list and len(taken) > option.max_files:
                noun = f"{option.media[0].noun}s" if len(option.media) == 1 else "files"
                raise BadOption(
                    f"/{self.name} takes at most {option.max_files} {noun}, and that message has {len(taken)}.",
                    option=option.name,
                )
            named |= zip(option.file_names, taken, strict=False)
        return named

    def _choose_option(self, file: Attachment | Link) -> Option | None:
        kind = file.kind if isinstance(file, Attachment) else MediaKind.PICTURE
        options = self.file_options
        return next((option for option in options if kind in option.media), next(iter(options), None))


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
    quotes: bool = False,
    name: str = "",
    max_files: int = 1,
    media: tuple[MediaKind, ...] = PICTURES,
    is_read: bool = False,
    on_page: bool = True,
    searches: bool = False,
    prepare: Prepare | None = None,
) -> Any:
    """Declare an option of a command: the question, the bounds, and the default.

    `name` is the option's name, by default the field's; `max_files` the most files of a field that is a tuple,
    `media` the kinds of files; `is_read` has the files read into the words; `quotes` lets the words of the message
    replied to fill the option.
    """
    limits = {"minimum": minimum, "maximum": maximum, "max_length": max_length, "name": name, "max_files": max_files}
    metadata: dict[str, Any] = {
        "question": question,
        "choices": tuple(choices),
        "autocomplete": autocomplete,
        "words": words,
        **limits,
    }
    metadata |= {"media": media, "on_page": on_page, "searches": searches, "quotes": quotes, "prepare": prepare}
    metadata["is_read"] = is_read
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option,))
class Command:
    """A typed form with an answer. Each subclass becomes a frozen dataclass."""

    declaration: ClassVar[Declaration]

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    async def answer(self, invocation: Invocation, services: "Services") -> Reply | None:
        """Run the command. Return a reply to show at once, or None after starting a job."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Services:
    """The trunk's services, a parameter of each command's `answer`."""

    jobs: Jobs
    conversations: Conversations
    catalogue: Catalogue
    credits: Credits
    moderation: Moderation
    notices: Notices
    media: Media
    paint_links: PaintLinks
    menu: Sequence[type[Command]]
    runs: ModelRuns
    webhooks: Webhooks
    confirmations: Confirmations
    presets: Sequence[Preset] = ()
    """The presets that suggestions name, after `prepare_form` or `prepare_suggestions`."""

    def for_user(self, user: User) -> "Services":
        """Return the services with the catalogue of the user's workspace."""
        return replace(self, catalogue=self.catalogue.for_workspace(user.platform, user.workspace))

    async def prepare_suggestions(self, option: Option, user: User, typed: str) -> "Services":
        """Read what suggestions of an option need into memory; return the services for `Option.autocomplete`.

        Of the user, platform, workspace and id are enough.
        """
        await self.runs.added.refresh()
        if option.searches:
            await self.runs.search_ahead(typed)
        return (await self.prepare_form([option], user)).for_user(user)

    async def prepare_form(self, options: Sequence[Option], user: User) -> "Services":
        """Read the rows that suggestions of a form's options name; return the services for `Option.autocomplete`."""
        services = self
        for prepare in dict.fromkeys(option.prepare for option in options if option.prepare is not None):
            services = await prepare(services, user)
        return services

    async def choose_model(
        self, user: User, task: Task, name: str, *, required_option: str = "", file_count: int = 0
    ) -> Model:
        """Return the named model of a task, or the workspace's default. Arguments and errors: `Catalogue.choose`."""
        settings = await self.moderation.get_settings(user.platform, user.workspace)
        return self.catalogue.choose(
            task,
            name,
            required_option=required_option,
            file_count=file_count,
            preferred_key=settings.get_default_model(task),
        )

    async def describe_price(
        self, workspace: Workspace, declaration: Declaration, given: Mapping[str, OptionValue]
    ) -> str:
        """Return the price of a form's request, such as "3 credits with FLUX schnell".

        Return an empty text where the words or a preset decide the price, for an unknown model, and for a command
        without a model.
        """
        task = declaration.task
        if task is None or task is Task.CHAT or declaration.option("model") is None or given.get("preset"):
            return ""
        settings = await self.moderation.get_settings(workspace.platform, workspace.id)
        try:
            model = self.catalogue.choose(
                task, str(given.get("model") or ""), preferred_key=settings.get_default_model(task)
            )
        except UserError:
            return ""
        return f"{_format_price(self, model, given)} with {model.title}"


C = TypeVar("C", bound=Command)


def command(
    name: str,
    *,
    task: Task | None = None,
    rank: Rank = Rank.USER,
    private: bool = False,
    contexts: Mapping[str, str] | None = None,
    menu_entries: Sequence[MenuEntry] = (),
    works_anywhere: bool = False,
) -> Callable[[type[C]], type[C]]:
    """Declare a command under a name of at most three words.

    `contexts` are kinds of message with the command in their menu, and the label there, e.g. `{"picture": "Upscale"}`;
    `menu_entries` are further entries, with options.
    """

    def declare(form: type[C]) -> type[C]:
        form.declaration = Declaration(
            name=name,
            description=(inspect.getdoc(form) or "").splitlines()[0],
            options=_list_options(form),
            task=task,
            rank=rank,
            is_private=private,
            menu_entries=(*(MenuEntry(kind, label) for kind, label in (contexts or {}).items()), *menu_entries),
            works_anywhere=works_anywhere,
        )
        return form

    return declare


def _list_options(form: type[Command]) -> tuple[Option, ...]:
    hints = get_type_hints(form)
    fields = [field for field in dataclasses.fields(form) if "question" in field.metadata]  # type: ignore[arg-type]  # made a dataclass by __init_subclass__
    # Options of a base class come first, and Discord wants the required ones in front.
    fields.sort(key=lambda field: field.default is not REQUIRED)
    return tuple(
        Option(
            kind=_find_kind(hints[field.name]),
            is_required=field.default is REQUIRED,
            default=None if field.default is REQUIRED else field.default,
            field=field.name,
            is_list=get_origin(hints[field.name]) is tuple,
            **{**field.metadata, "name": field.metadata["name"] or field.name},
        )
        for field in fields
    )


def _find_kind(hint: Any) -> OptionKind:
    """Return the kind for a field's type; of a union such as `Attachment | Link | None` the first member decides.

    A tuple such as `tuple[Attachment | Link, ...]` has the kind of its members.
    """
    if get_origin(hint) is tuple:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    return _KINDS[hint]


def models_for(task: Task) -> Autocomplete:
    """Return suggestions of a task's models with their prices: models with the typed beginning come first."""

    def suggest(services: Services, typed: str, given: Mapping[str, OptionValue]) -> Sequence[Choice]:
        wanted = typed.strip().lower()
        models = [m for m in services.catalogue.list_for_task(task) if wanted in m.key or wanted in m.title.lower()]
        models.sort(key=lambda model: not model.key.startswith(wanted))
        # A price is computed for each suggestion at each keystroke: only for those that are shown.
        return [
            Choice(f"{m.title} · {_format_price(services, m, given)}{_format_wait(services, m)}", m.key)
            for m in models[:MAX_CHOICES]
        ]

    return suggest


def _format_wait(services: Services, model: Model) -> str:
    """Return the waiting time of a model behind other jobs, or that its server is away; empty for a short wait."""
    if services.jobs.is_away(model):
        return " · away right now"
    seconds = services.jobs.estimate_wait_seconds(model)
    return f" · about {seconds:.0f} s in line" if seconds >= _MIN_TOLD_WAIT_SECONDS else ""


def values_for(task: Task, name: str) -> Autocomplete:
    """Return suggestions of the values that models take for an option, each with the price that the value leads to.

    Without a chosen model, a value's price is that of the first model with the value, which the label names.
    """

    def suggest(services: Services, typed: str, given: Mapping[str, OptionValue]) -> Sequence[Choice]:
        chosen = _find_model(services, task, given)
        models = [chosen] if chosen is not None else services.catalogue.list_for_task(task)
        labels: dict[str, str] = {}
        for model in models:
            prices = {
                value: _format_price(services, model, {**given, name: value}) for value in _list_values(model, name)
            }
            for value, price in prices.items():
                price = price if chosen is not None else f"{price} with {model.title}"
                # A price that does not depend on the option would only be noise.
                labels.setdefault(value, f"{value} · {price}" if len(set(prices.values())) > 1 else value)
        wanted = typed.strip().lower()
        return [Choice(label, value) for value, label in labels.items() if wanted in value.lower()][:MAX_CHOICES]

    return suggest


def _find_model(services: Services, task: Task, given: Mapping[str, OptionValue]) -> Model | None:
    try:
        return services.catalogue.choose(task, str(given["model"])) if given.get("model") else None
    except UserError:  # an unfinished name
        return None


def _list_values(model: Model, name: str) -> list[str]:
    """Return the values that a model takes for an option: choices, or a few whole numbers."""
    rule = model.inputs.get(name)
    if rule is None:
        return []
    if rule.choices:
        return list(rule.choices)
    if rule.minimum is None or rule.maximum is None or rule.maximum - rule.minimum >= MAX_CHOICES:
        return []
    return [str(number) for number in range(int(rule.minimum), int(rule.maximum) + 1)]


def _format_price(services: Services, model: Model, given: Mapping[str, OptionValue]) -> str:
    """Return the price of a request with these options, as far as the model takes the options."""
    options: dict[str, JSON | InputFile] = {
        name: value
        for name, value in given.items()
        if value != "" and (rule := model.inputs.get(name)) is not None and not rule.is_file
    }
    try:
        inputs = services.catalogue.build_inputs(model, options)
    except UserError:  # a value for another model, or an unfinished value
        inputs = services.catalogue.build_inputs(model, {})
    return services.credits.formatter.format_estimate(estimate_cost(model, inputs))
