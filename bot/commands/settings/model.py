"""/settings model: which model answers where nobody names one."""

from collections.abc import Sequence

from bot.core.invocations import Invocation
from bot.core.models import Task
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.autocomplete import MOST_CHOICES
from bot.dispatch.declaration import Choice, Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import changed
from bot.moderation.settings import key_of


def _any_model(services: Services, typed: str) -> Sequence[Choice]:
    wanted = typed.strip().lower()
    models = [m for m in services.catalogue.all() if wanted in m.key or wanted in m.title.lower()]
    return [Choice(f"{model.title} · /{model.task}", model.key) for model in models][:MOST_CHOICES]


@command("settings model", rank=Rank.MODERATOR, private=True)
class SettingsModel(Command):
    """Choose the model that answers where nobody names one."""

    task: str = option("For which task?", choices=tuple(Task))
    model: str = option("Which model? The first in /models if you say nothing.", default="", autocomplete=_any_model)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        key = services.catalogue.choose(Task(self.task), self.model).key if self.model else None
        return await changed(services, invocation.user, {key_of("default_models", self.task): key}, "default_models")
