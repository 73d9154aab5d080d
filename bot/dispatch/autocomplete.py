"""Suggestions while somebody types; from memory only, since a platform waits for them."""

from collections.abc import Sequence

from bot.core.models import Task
from bot.credits.pricing import estimate_cost
from bot.dispatch.declaration import Autocomplete, Choice
from bot.dispatch.services import Services

MAX_CHOICES = 25


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
