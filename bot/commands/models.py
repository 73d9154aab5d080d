"""/models: sums the models up by command, or lists the models of one command, with prices."""

from collections.abc import Sequence

from bot.core.invocations import Invocation
from bot.core.models import Metric, Model, Task
from bot.core.replies import Reply
from bot.credits.pricing import CreditFormatter, estimate_cost, format_price
from bot.dispatch.declaration import Command, Services, command, option

_MORE = (
    "`/models {task}` lists the models of one command with their prices. To choose a model, give its key as the option "
    "model, such as `--model {key}`."
)


@command("models", private=True)
class Models(Command):
    """List the models with their prices."""

    task: str | None = option("For which command?", default=None, choices=tuple(Task))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        tasks = [Task(self.task)] if self.task else list(Task)
        user, catalogue = invocation.user, services.catalogue
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        offers = {task: models for task in tasks if (models := catalogue.list_for_task(task))}
        defaults = {task: catalogue.choose(task, preferred_key=settings.get_default_model(task)) for task in offers}
        form = services.credits.formatter
        if not offers:
            text = f"No model for /{self.task} is on offer here. Ask my owner to add one."
        elif self.task:
            text = _format_list(services, offers[tasks[0]], form, defaults[tasks[0]])
        else:
            lines = [_format_summary(services, defaults[task], len(models)) for task, models in offers.items()]
            task, models = next(iter(offers.items()))
            text = "\n".join([*lines, "", _MORE.format(task=task, key=models[:2][-1].key)])
        return Reply(text=text, is_private=True)


def _format_summary(services: Services, default: Model, count: int) -> str:
    """Return the line of a command: the default, the usual price of a request, and the number of other models."""
    form, others = services.credits.formatter, f"{count - 1} more" if count > 1 else "no other"
    expected = estimate_cost(default, services.catalogue.build_inputs(default, {})).expected_micros
    # The length of a text or of a recording decides the price of some models: an empty request costs nothing there.
    price = f"usually {form.format_amount(expected)}" if expected else format_model_price(default, form)
    return f"- **/{default.task}** {default.title} (`{default.key}`), {price}; {others}"


def _format_list(services: Services, models: Sequence[Model], form: CreditFormatter, default: Model) -> str:
    lines = [
        f"- `{model.key}` {model.title}: {model.description} {format_model_price(model, form)}"
        f"{' (default)' if model is default else ''}{' (away right now)' if services.jobs.is_away(model) else ''}"
        for model in models
    ]
    return "\n".join([f"**/{default.task}**", *lines])


def format_model_price(model: Model, form: CreditFormatter) -> str:
    """Return a model's price in credits per billed unit."""
    if Metric.PREDICT_TIME in model.price.metrics:
        estimate = estimate_cost(model, {})
        expected, most = form.format(estimate.expected_micros), form.format(estimate.max_micros)
        return f"about {expected} credits a run, at most {most}"
    return format_price(model.price, form.format_amount)
