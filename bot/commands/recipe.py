"""/recipe: what a picture's file says of its making, the price here, and buttons that draw it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from bot.core.backend import InputValue
from bot.core.errors import BadFile, UserError
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.limits import MAX_PROMPT_CHARACTERS
from bot.core.models import Model, Task
from bot.core.replies import Button, Reply
from bot.core.text import sanitize_text
from bot.credits.pricing import estimate_cost
from bot.dispatch.button_actions import VARY_STRENGTH
from bot.dispatch.declaration import Command, OptionValue, Services, command, option
from bot.media.recipes import GivenRecipe

_TOO_LONG = f"/imagine takes {MAX_PROMPT_CHARACTERS:,} characters: the buttons draw without what follows the “…”."
_NO_RECIPE = (
    "That file does not say how it was made: chats and screenshots drop the recipe. Give the PNG, JPEG or WebP as "
    "A1111, ComfyUI or this bot saved it."
)


@command("recipe")
class ReadRecipe(Command):
    """Read in a picture's file how it was made, and draw it here."""

    image: Attachment | Link = option("Which picture?")

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        picture, recipe = await services.media.read_recipe(self.image)
        # What the buttons draw is what the person read: a stranger's file may hide words in invisible characters.
        recipe = _sanitize(recipe) if recipe is not None else None
        if recipe is None or not recipe.prompt:
            raise BadFile(_NO_RECIPE)
        named = _find_named_model(services.catalogue.list_for_task(Task.IMAGINE), recipe.model)
        model = named or await services.choose_model(invocation.user, Task.IMAGINE, "")
        text = _describe(recipe, "" if named else model.title)
        options = _list_options(services, model, recipe)
        asked = replace(invocation, command=Task.IMAGINE, attachments={}, options=options)
        buttons = [await _offer(services, asked, model, text, {})]
        varying = services.catalogue.choose_for_variation(model.key)
        if varying is not None:
            [kept] = await services.media.load_inputs([picture], varying.inputs.get("image"))
            services.media.claim([kept])
            # Other options may not suit the model of the variation.
            plain: dict[str, OptionValue] = {"prompt": options["prompt"], "strength": VARY_STRENGTH}
            asked = replace(asked, options=plain)
            buttons.append(await _offer(services, asked, varying, text, {"image": kept.sha256}))
        return Reply(text, buttons=tuple(buttons), is_private=True)


def _sanitize(recipe: GivenRecipe) -> GivenRecipe:
    """Return a recipe without direction controls and invisible writing."""
    prompt, negative, model = (sanitize_text(text).strip() for text in (recipe.prompt, recipe.negative, recipe.model))
    return replace(recipe, prompt=prompt, negative=negative, model=model)


def _find_named_model(models: Sequence[Model], name: str) -> Model | None:
    """Return the model whose key, title or reference a file names, None for another name."""
    wanted = _simplify(name.replace("\\", "/").rpartition("/")[2].removesuffix(".safetensors").removesuffix(".ckpt"))
    named = ((model, (model.key, model.title, model.ref.rpartition("/")[2])) for model in models)
    return next((model for model, names in named if wanted and wanted in map(_simplify, names)), None)


def _simplify(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _list_options(services: Services, model: Model, recipe: GivenRecipe) -> dict[str, OptionValue]:
    """Return the options of /imagine in a recipe, as far as the model takes them."""
    options: dict[str, OptionValue] = {"prompt": recipe.prompt[:MAX_PROMPT_CHARACTERS]}
    wished = {
        "negative": recipe.negative[:MAX_PROMPT_CHARACTERS] or None,
        "seed": recipe.seed,
        "steps": recipe.steps,
        "guidance": recipe.guidance,
    }
    for name, value in wished.items():
        if value is None or name not in model.inputs:
            continue
        with suppress(UserError):  # a value beyond the model's bounds
            services.catalogue.build_inputs(model, {**options, name: value})
            options[name] = value
    return options


async def _offer(services: Services, asked: Invocation, model: Model, text: str, files: Mapping[str, str]) -> Button:
    """Return a button that draws by /imagine, from the picture if given, with the model and the price."""
    given: dict[str, InputValue] = {name: value for name, value in asked.options.items() if name in model.inputs}
    estimate = estimate_cost(model, services.catalogue.build_inputs(model, given))
    about = "" if estimate.expected_micros == estimate.max_micros else "about "
    price = f"{about}{services.credits.formatter.format_amount(estimate.expected_micros)}"
    return await services.confirmations.offer(
        # A recipe of several lines is one prompt: the button names the price of one picture.
        replace(asked, options={**asked.options, "model": model.key, "batch": False}),
        text,
        f"{'Vary' if files else 'Again'} · {model.title}, {price}",
        2 if files else 1,
        price_micros=estimate.max_micros,
        files=files,
    )


def _describe(recipe: GivenRecipe, instead: str) -> str:
    """Return the recipe in words. `instead` is the model that draws in the place of one that is not on offer."""
    facts = {"seed": recipe.seed, "steps": recipe.steps, "guidance": recipe.guidance}
    settings = [recipe.model, *(f"{name} {value}" for name, value in facts.items() if value is not None)]
    lines = [
        f"The file says: “{_cut(recipe.prompt)}”",
        f"Not: “{_cut(recipe.negative)}”" if recipe.negative else "",
        _TOO_LONG if max(len(recipe.prompt), len(recipe.negative)) > MAX_PROMPT_CHARACTERS else "",
        " · ".join(filter(None, settings)),
        f"{recipe.model} is not on offer here: {instead} would draw." if recipe.model and instead else "",
    ]
    return "\n".join(filter(None, lines))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_PROMPT_CHARACTERS else f"{text[:MAX_PROMPT_CHARACTERS]}…"
