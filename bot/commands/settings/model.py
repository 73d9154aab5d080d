"""/settings model: which model answers where nobody names one."""

from collections.abc import Sequence

from bot.core.invocations import Invocation
from bot.core.models import Task
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.autocomplete import MAX_CHOICES
from bot.dispatch.declaration import Choice, Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import change_and_reply
from bot.moderation.settings import format_setting_key


def _any_model(services: Services, typed: str) -> Sequence[Choice]:
    wanted = typed.strip().lower()
    models = [m for m in services.catalogue.list_all() if wanted in m.key or wanted in m.title.lower()]
    return [Choice(f"{model.title} · /{model.task}", model.key) for model in models][:MAX_CHOICES]


@command("settings model", rank=Rank.MODERATOR, private=True)
class SettingsModel(Command):
    """Choose the model that answers where nobody names one."""

    task: str = option("For which task?", choices=tuple(Task))
    model: str = option("Which model? The first in /models if you say nothing.", default="", autocomplete=_any_model)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        key = services.catalogue.choose(Task(self.task), self.model).key if self.model else None
        return await change_and_reply(
            services, invocation.user, {format_setting_key("default_models", self.task): key}, "default_models"
        )
