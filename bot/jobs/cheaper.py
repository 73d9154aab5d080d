"""What would do instead: a cheaper model of the same task, for somebody who was refused for want of money."""

from collections.abc import Awaitable, Callable, Mapping

from bot.core.errors import NoMoney, UserError
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.predictions import InputFile
from bot.credits.pricing import estimate
from bot.jobs.work import Parts


async def add_suggestion(
    error: NoMoney,
    parts: Parts,
    model: Model,
    options: Mapping[str, JSON | InputFile],
    may_run: Callable[[Model], Awaitable[bool]],
) -> None:
    """Say in the error which model would do: the dearest that what is left pays for, asked for the very same.

    `may_run` says of a model whether it may be asked, by whom and where the other was.
    """
    fits: list[tuple[int, Model]] = []
    for other in parts.catalogue.of(model.task):
        price = None if other.is_adult or other.key == model.key else await _price(parts, other, options)
        if price is not None and price <= error.left and await may_run(other):
            fits.append((price, other))
    if fits:
        price, best = max(fits, key=lambda fit: fit[0])
        error.suggest(f"{best.title} (`{best.key}`) would do: {parts.credits.form.show(price)} credits at most.")


async def _price(parts: Parts, model: Model, options: Mapping[str, JSON | InputFile]) -> int | None:
    """What is held for these options on a model; None where it does not take them."""
    try:
        inputs = parts.catalogue.inputs(model, options)
    except UserError:
        return None
    return estimate(model, inputs, await parts.times.of(model)).at_most
