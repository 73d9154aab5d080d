"""What would do instead: a cheaper model of the same task, for somebody who was refused for want of money."""

from collections.abc import Awaitable, Callable, Mapping

from bot.core.backend import InputFile
from bot.core.errors import InsufficientFunds, UserError
from bot.core.json import JSON
from bot.core.models import Model
from bot.credits.pricing import estimate_cost
from bot.jobs.work import JobServices


async def suggest_cheaper_model(
    error: InsufficientFunds,
    services: JobServices,
    model: Model,
    options: Mapping[str, JSON | InputFile],
    may_run: Callable[[Model], Awaitable[bool]],
) -> None:
    """Say in the error which model would do: the dearest that what is left pays for, asked for the very same.

    `may_run` says of a model whether it may be asked, by whom and where the other was.
    """
    fits: list[tuple[int, Model]] = []
    for other in services.catalogue.list_for_task(model.task):
        price = (
            None if other.is_adult or other.key == model.key else await _estimate_max_micros(services, other, options)
        )
        if price is not None and price <= error.available_micros and await may_run(other):
            fits.append((price, other))
    if fits:
        price, best = max(fits, key=lambda fit: fit[0])
        error.suggest(
            f"{best.title} (`{best.key}`) would do: {services.credits.formatter.format(price)} credits at most."
        )


async def _estimate_max_micros(
    services: JobServices, model: Model, options: Mapping[str, JSON | InputFile]
) -> int | None:
    """What is held for these options on a model; None where it does not take them."""
    try:
        inputs = services.catalogue.build_inputs(model, options)
    except UserError:
        return None
    return estimate_cost(model, inputs, await services.usual_times.get_seconds(model)).max_micros
