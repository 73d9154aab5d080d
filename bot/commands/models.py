"""/models: lists the models of each task with their prices."""

from bot.core.invocations import Invocation
from bot.core.models import Metric, Model, Task
from bot.core.replies import Reply
from bot.credits.pricing import CreditFormatter, estimate_cost, format_price
from bot.dispatch.declaration import Command, Services, command, option


@command("models", private=True)
class Models(Command):
    """List the models with their prices."""

    task: str | None = option("For which task?", default=None, choices=tuple(Task))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        tasks = [Task(self.task)] if self.task else list(Task)
        user, catalogue = invocation.user, services.catalogue
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        preferred = {task: settings.get_default_model(task) for task in tasks}
        defaults = {
            task: catalogue.choose(task, preferred_key=preferred[task]).key
            for task in tasks
            if catalogue.list_for_task(task)
        }
        sections = [
            _format_section(task, catalogue.list_for_task(task), services.credits.formatter, defaults.get(task))
            for task in tasks
        ]
        return Reply(text="\n\n".join(sections), is_private=True)


def _format_section(task: Task, models: list[Model], form: CreditFormatter, default: str | None) -> str:
    lines = [
        f"- `{model.key}` {model.title}: {model.description} {format_model_price(model, form)}"
        f"{' (default)' if model.key == default else ''}"
        for model in models
    ]
    return "\n".join([f"**/{task}**", *lines])


def format_model_price(model: Model, form: CreditFormatter) -> str:
    """Return a model's price in credits per billed unit."""
    if Metric.PREDICT_TIME in model.price.metrics:
        estimate = estimate_cost(model, {})
        expected, most = form.format(estimate.expected_micros), form.format(estimate.max_micros)
        return f"about {expected} credits a run, at most {most}"
    return format_price(model.price, lambda micros: f"{form.format(micros)} credits")
