"""/preset: saves options of /imagine under a name, and lists, shows, removes and shares presets."""

from collections.abc import Mapping

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.models import Task
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Services, command, option
from bot.dispatch.presets import PictureOptions, Presets, describe_owner, load_presets, suggest_presets


@command("preset save", private=True)
class PresetSave(PictureOptions):
    """Save options of /imagine under a name of yours."""

    name: str = option("Under which name?", max_length=32)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        options = {
            option.name: getattr(self, option.field)
            for option in self.declaration.options
            if option.name != "name" and str(invocation.options.get(option.name, "")).strip()
        }
        if not options:
            raise BadOption("Give an option to save, such as model or aspect.", option="model")
        if self.model:
            options["model"] = services.catalogue.choose(Task.IMAGINE, self.model).key
        is_replaced = await Presets(services).save(invocation.user, self.name, options)
        verb = "changed" if is_replaced else "saved"
        name = self.name.lower()
        text = f"**{name}** is {verb}: {_format_options(options)}.\nGive `{name}` as the option `preset` of /imagine."
        return Reply(text=text, is_private=True)


@command("preset list", private=True)
class PresetList(Command):
    """List your presets and those of this workspace."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        own = await Presets(services).list_own(invocation.user)
        shared = await Presets(services).list_shared(invocation.user)
        if not own and not shared:
            return Reply(text="There is no preset yet. `/preset save` adds one.", is_private=True)
        groups = {"Yours": own, "This workspace's": shared}
        lines = [
            f"{title}: {', '.join(f'`{preset.name}`' for preset in presets)}"
            for title, presets in groups.items()
            if presets
        ]
        return Reply(text="\n".join(lines), is_private=True)


@command("preset show", private=True)
class PresetShow(Command):
    """Show the options of a preset."""

    name: str = option(
        "Which one? As in /preset list.", max_length=32, autocomplete=suggest_presets(), prepare=load_presets
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        preset = await Presets(services).find(invocation.user, self.name)
        text = f"**{preset.name}**, {describe_owner(preset)}: {_format_options(preset.options)}"
        return Reply(text=text, is_private=True)


@command("preset remove", private=True)
class PresetRemove(Command):
    """Remove a preset of yours."""

    name: str = option(
        "Which one? As in /preset list.",
        max_length=32,
        autocomplete=suggest_presets(shared=False),
        prepare=load_presets,
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        await Presets(services).remove(invocation.user, self.name)
        return Reply(text=f"`{self.name.lower()}` is removed from your presets.", is_private=True)


@command("preset share", rank=Rank.MODERATOR, private=True)
class PresetShare(Command):
    """Give a copy of a preset of yours to everybody in this workspace."""

    name: str = option(
        "Which one of yours?", max_length=32, autocomplete=suggest_presets(shared=False), prepare=load_presets
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        is_replaced = await Presets(services).share(invocation.user, self.name)
        older = " The older one of that name is replaced." if is_replaced else ""
        name = self.name.lower()
        return Reply(
            text=f"Everybody here can give `{name}` as the option `preset` of /imagine now.{older}", is_private=True
        )


@command("preset unshare", rank=Rank.MODERATOR, private=True)
class PresetUnshare(Command):
    """Take a preset away from this workspace."""

    name: str = option(
        "Which one of this workspace's?", max_length=32, autocomplete=suggest_presets(own=False), prepare=load_presets
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        await Presets(services).unshare(invocation.user, self.name)
        return Reply(text=f"`{self.name.lower()}` is no preset of this workspace any more.", is_private=True)


def _format_options(options: Mapping[str, JSON]) -> str:
    return ", ".join(f"{name} {_format_value(value)}" for name, value in options.items())


def _format_value(value: JSON) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`" if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
