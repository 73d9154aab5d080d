"""Presets: options of /imagine under a name, of a person or of a workspace."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.catalogue.catalogue import Catalogue
from bot.core.errors import BadOption, RequestRefused, UnknownName, UserError
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.limits import MAX_PRESETS, MAX_PROMPT_CHARACTERS
from bot.core.models import ASPECTS, Task
from bot.core.people import PersonKey, User
from bot.dispatch.declaration import (
    MAX_CHOICES,
    Autocomplete,
    Choice,
    Command,
    Declaration,
    OptionValue,
    Services,
    models_for,
    option,
    values_for,
)
from bot.dispatch.forms import read_value
from bot.jobs.acceptance import UNRELATED_WORKSPACES
from bot.jobs.deletion import person_from_user
from bot.storage.database import Transaction
from bot.storage.models import Preset

_NAME = re.compile(r"[\w-]{1,32}")


class PictureOptions(Command):
    """The options of a drawing that a preset may hold."""

    model: str = option("Which model should draw it?", default="", autocomplete=models_for(Task.IMAGINE))
    aspect: str | None = option("Which shape?", default=None, choices=ASPECTS)
    count: int = option(
        "How many pictures?", default=1, minimum=1, maximum=4, autocomplete=values_for(Task.IMAGINE, "count")
    )
    quality: str | None = option(
        "How good? Better costs more.", default=None, max_length=30, autocomplete=values_for(Task.IMAGINE, "quality")
    )
    resolution: str | None = option(
        "How large? Larger may cost more.",
        default=None,
        max_length=30,
        autocomplete=values_for(Task.IMAGINE, "resolution"),
    )
    seed: int | None = option("Which seed? The same seed draws the same again.", default=None, minimum=0)
    negative: str | None = option("What should it not show?", default=None, max_length=MAX_PROMPT_CHARACTERS)
    steps: int | None = option("How many steps?", default=None, minimum=1, maximum=100)
    guidance: float | None = option("How closely should it follow the words?", default=None, minimum=0, maximum=50)
    scheduler: str | None = option(
        "Which scheduler?", default=None, max_length=40, autocomplete=values_for(Task.IMAGINE, "scheduler")
    )
    prompt_upsampling: bool = option("Should the model write out the prompt?", default=False)
    safety_tolerance: int | None = option(
        "How much may the model's filter let through? 1 is strictest.", default=None, minimum=1, maximum=6
    )
    format: str | None = option("Which file format?", default=None, choices=("png", "webp", "jpg"))
    strength: float | None = option("How far may it go from that picture?", default=None, minimum=0, maximum=1)


@dataclass(frozen=True, slots=True)
class Presets:
    """Saves, finds and shares presets. A person's own preset hides the workspace's of the same name."""

    services: Services

    async def save(self, user: User, name: str, options: Mapping[str, JSON]) -> bool:
        """Store a preset of a person; return whether an older one was replaced. Raise `BadOption` or as `_put`."""
        if not _NAME.fullmatch(name):
            raise BadOption("A name has letters, digits and dashes, at most 32 and without spaces.", option="name")
        async with self.services.runs.database.write() as tx:
            return await self._put(tx, person_from_user(user), _fold(name), options, user)

    async def share(self, user: User, name: str) -> bool:
        """Copy a preset of a person to the workspace; return whether an older one was replaced."""
        place = _get_place(user)
        async with self.services.runs.database.write() as tx:
            preset = _pick(await tx.presets.list_presets(person_from_user(user)), name)
            await tx.audit.add(user.actor, "preset.shared", {"preset": preset.name}, self.services.runs.clock.now())
            return await self._put(tx, place, preset.name, preset.options, user)

    async def remove(self, user: User, name: str) -> None:
        """Delete a preset of a person. Raise `UnknownName`."""
        await self._remove(person_from_user(user), name)

    async def unshare(self, user: User, name: str) -> None:
        """Delete a preset of a workspace. Raise `UnknownName`."""
        await self._remove(_get_place(user), name, by=user)

    async def list_own(self, user: User) -> list[Preset]:
        """Return the presets of a person by name."""
        async with self.services.runs.database.read() as tx:
            return await tx.presets.list_presets(person_from_user(user))

    async def list_shared(self, user: User) -> list[Preset]:
        """Return the presets of a person's workspace by name; none where people have no workspace in common."""
        if user.workspace in UNRELATED_WORKSPACES:
            return []
        async with self.services.runs.database.read() as tx:
            return await tx.presets.list_presets(_get_place(user))

    async def find(self, user: User, name: str) -> Preset:
        """Return a person's preset, or else the workspace's. Raise `UnknownName` with the nearest name."""
        return _pick([*await self.list_own(user), *await self.list_shared(user)], name)

    async def _put(self, tx: Transaction, owner: PersonKey, name: str, options: Mapping[str, JSON], by: User) -> bool:
        """Store a preset; return whether an older one was replaced. Raise `RequestRefused` for one too many."""
        known = {preset.name for preset in await tx.presets.list_presets(owner)}
        if name not in known and len(known) >= MAX_PRESETS:
            remedy = "/preset remove" if owner.id else "/preset unshare"
            raise RequestRefused(f"{MAX_PRESETS} presets are the most. Take one away first: {remedy}.")
        where = (owner.platform, owner.workspace, owner.id)
        await tx.presets.put(Preset(*where, name, options, by.actor, self.services.runs.clock.now()))
        return name in known

    async def _remove(self, owner: PersonKey, name: str, *, by: User | None = None) -> None:
        async with self.services.runs.database.write() as tx:
            preset = _pick(await tx.presets.list_presets(owner), name)
            await tx.presets.remove(owner, preset.name)
            if by is not None:
                await tx.audit.add(by.actor, "preset.unshared", {"preset": preset.name}, self.services.runs.clock.now())


def _get_place(user: User) -> PersonKey:
    """Return the owner of the workspace's presets. Raise `RequestRefused` where people have no workspace in common."""
    if user.workspace in UNRELATED_WORKSPACES:
        raise RequestRefused("Presets are shared in a server or a workspace: use this command there.")
    return PersonKey(user.platform, user.workspace, "")


def _fold(name: str) -> str:
    return name.strip().lower()


def _pick(presets: list[Preset], name: str) -> Preset:
    wanted = _fold(name)
    found = next((preset for preset in presets if preset.name == wanted), None)
    if found is None:
        names = [preset.name for preset in presets]
        raise UnknownName("preset", name, names, advice="/preset list shows them, and /preset save adds one.")
    return found


async def load_presets(services: Services, user: User) -> Services:
    """Return the services with a person's presets and the workspace's, for suggestions."""
    presets = Presets(services)
    return replace(services, presets=(*await presets.list_own(user), *await presets.list_shared(user)))


def suggest_presets(*, own: bool = True, shared: bool = True) -> Autocomplete:
    """Return suggestions of presets by name: a person's own, the workspace's, or both without those that are hidden."""

    def suggest(services: Services, typed: str, _given: Mapping[str, OptionValue]) -> Sequence[Choice]:
        labels: dict[str, str] = {}
        for preset in services.presets:
            if own if preset.user else shared:
                labels.setdefault(preset.name, f"{preset.name} · {describe_owner(preset)}")
        wanted = _fold(typed)
        names = sorted((name for name in labels if wanted in name), key=lambda name: not name.startswith(wanted))
        return [Choice(labels[name], name) for name in names[:MAX_CHOICES]]

    return suggest


def describe_owner(preset: Preset) -> str:
    """Return whose the preset is, such as "yours"."""
    return "yours" if preset.user else "this workspace's"


def apply_preset(preset: Preset, invocation: Invocation, declaration: Declaration, catalogue: Catalogue) -> Invocation:
    """Return the request with the options of a preset in the place of those that the request leaves out.

    Raise `RequestRefused` with one sentence for a model, an option or a value that is gone since the preset was saved.
    """
    given = {name: value for name, value in invocation.options.items() if str(value).strip() and name != "preset"}
    head = f"The preset “{preset.name}” does not work any more:"
    values: dict[str, OptionValue] = {}
    for name, value in preset.options.items():
        if name in given:
            continue
        known = declaration.option(name)
        if known is None or not isinstance(value, (str, int, float)):
            raise RequestRefused(
                f"{head} /{declaration.name} has no option {name} now. Save it again with /preset save."
            )
        try:
            values[name] = read_value(known, value)
            if name == "model":
                catalogue.choose(Task.IMAGINE, str(value))
        except UserError as error:
            raise RequestRefused(f"{head} {error} Give another {name}, or save it again.") from error
    return replace(invocation, options={**values, **given})
