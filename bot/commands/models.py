"""/models: what can draw, upscale, caption and chat, and what it costs."""

from bot.core.invocations import Invocation
from bot.core.models import Model, PriceUnit, Task
from bot.core.replies import Reply
from bot.credits.pricing import CreditForm, estimate
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services


@command("models", private=True)
class Models(Command):
    """List the models with their prices."""

    task: str | None = option("For which task?", default=None, choices=tuple(Task))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        tasks = [Task(self.task)] if self.task else list(Task)
        user, catalogue = invocation.user, services.catalogue
        settings = await services.moderation.settings_of(user.platform, user.workspace)
        usual = {task: settings.usual_model(task) for task in tasks}
        defaults = {task: catalogue.choose(task, usual=usual[task]).key for task in tasks if catalogue.of(task)}
        sections = [_section(task, catalogue.of(task), services.credits.form, defaults.get(task)) for task in tasks]
        return Reply(text="\n\n".join(sections), is_private=True)


def _section(task: Task, models: list[Model], form: CreditForm, default: str | None) -> str:
    lines = [
        f"- `{model.key}` {model.title}: {model.description} {priced(model, form)}"
        f"{' (default)' if model.key == default else ''}"
        for model in models
    ]
    return "\n".join([f"**/{task}**", *lines])


def priced(model: Model, form: CreditForm) -> str:
    """A model's price in credits, in the unit it is billed by."""
    price = model.price
    if price.unit is PriceUnit.IMAGE:
        return f"{form.show(price.micros_per_image)} credits a picture"
    if price.unit is PriceUnit.SECOND:
        told = estimate(model, {})
        return f"about {form.show(told.about)} credits a run, at most {form.show(told.at_most)}"
    if price.unit is PriceUnit.TOKEN:
        words_in, words_out = price.micros_per_million_tokens_in, price.micros_per_million_tokens_out
        return f"{form.show(words_in // 1000)} credits per 1,000 tokens read, {form.show(words_out // 1000)} written"
    return "free"
