"""/imagine draws pictures from words; /preset saves, lists, shows, removes and shares options of /imagine by name."""

from collections.abc import Mapping, Sequence

from bot.core.backend import InputFile, InputValue
from bot.core.errors import BadOption, RequestRefused
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.json import JSON
from bot.core.limits import MAX_BATCH_PICTURES, MAX_PROMPT_CHARACTERS
from bot.core.models import Model, Task
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import MAX_PICTURES, Command, Services, command, option
from bot.dispatch.forms import fill_form
from bot.dispatch.parsing import count_prompts, expand_prompts, split_lines
from bot.dispatch.presets import PictureOptions, Presets, apply_preset, describe_owner, load_presets, suggest_presets
from bot.jobs.batches import BatchRequest

USUAL_TOLERANCE = 2
"""The safety tolerance of the models with such a field when none is given (flux-1.1-pro, FLUX.2: 1 to 5 or 6)."""


@command("imagine", task=Task.IMAGINE, contexts={"picture": "Remix"})
class Imagine(PictureOptions):
    """Draw pictures from words."""

    prompt: str = option("What should the picture show?", max_length=MAX_PROMPT_CHARACTERS, words=True)
    images: tuple[Attachment | Link, ...] = option(
        "A picture to start from, or references?", default=(), name="image", max_files=MAX_PICTURES
    )
    batch: bool = option("May lines and choices such as {red|blue} draw a picture each?", default=True)
    preset: str = option(
        "Which preset? The other options win over its own.",
        default="",
        max_length=32,
        autocomplete=suggest_presets(),
        prepare=load_presets,
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply | None:
        if self.preset:
            preset = await Presets(services).find(invocation.user, self.preset)
            merged = apply_preset(preset, invocation, self.declaration, services.catalogue)
            return await fill_form(Imagine, merged).answer(merged, services)
        await self._check_tolerance(invocation, services)
        model = await services.choose_model(
            invocation.user,
            Task.IMAGINE,
            self.model,
            required_option="image" if self.images else "",
            file_count=len(self.images),
        )
        prompts = self._list_prompts(invocation)
        images = await services.media.load_inputs(self.images, model.inputs.get("image"))
        requests = [
            BatchRequest(options, {**options, "model": model.key})
            for options in (self._build_options(model, images, prompt) for prompt in prompts)
        ]
        if len(requests) > 1:
            alternative = ("As one prompt", {"batch": False})
            await services.jobs.start_batch(invocation, model, requests, alternative=alternative)
            return None
        await services.jobs.start(invocation, model, requests[0].options, stored_options=requests[0].stored_options)
        return None

    def _list_prompts(self, invocation: Invocation) -> list[str]:
        """Return the prompts in the words of a person. Raise `BadOption` for more pictures than one batch may have.

        A button repeats a prompt as it was, and a chat model asks for one picture.
        """
        if not self.batch or invocation.parent_job:
            return [self.prompt]
        lines = split_lines(self.prompt)
        count = count_prompts(lines) * self.count
        if count > MAX_BATCH_PICTURES and count > self.count:
            raise BadOption(
                f"That makes {count:,} pictures, and {MAX_BATCH_PICTURES} at once are the most: give fewer lines or "
                "choices, or say batch no for one prompt.",
                option="prompt",
            )
        return expand_prompts(lines) if len(lines) > 1 or "{" in self.prompt else [self.prompt]

    def _build_options(self, model: Model, images: Sequence[InputFile], prompt: str) -> dict[str, InputValue]:
        return {
            "prompt": prompt,
            "aspect": self.aspect,
            # A model without a count draws a single picture: leave 1 out, and let the model's rules refuse more.
            "count": self.count if self.count > 1 or "count" in model.inputs else None,
            "quality": self.quality,
            "resolution": self.resolution,
            "seed": self.seed,
            "negative": self.negative,
            "steps": self.steps,
            "guidance": self.guidance,
            "scheduler": self.scheduler,
            "prompt_upsampling": self.prompt_upsampling or None,
            "safety_tolerance": self.safety_tolerance,
            "format": self.format,
            "image": tuple(images) or None,
            "strength": self.strength,
        }

    async def _check_tolerance(self, invocation: Invocation, services: Services) -> None:
        """Raise `RequestRefused` for a looser filter than usual where no adult pictures may be shown."""
        if self.safety_tolerance is None or self.safety_tolerance <= USUAL_TOLERANCE:
            return
        user = invocation.user
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        if settings.adult == "off" or settings.flagged == "refuse" or not invocation.channel.is_age_restricted:
            raise RequestRefused(
                f"A safety tolerance above {USUAL_TOLERANCE} is for age-restricted channels of workspaces with adult "
                f"pictures. Ask for {USUAL_TOLERANCE} at most here."
            )


# Presets.


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
