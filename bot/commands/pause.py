"""/pause: no new job of a model, of a platform, or of any kind starts; running ones go on."""

from collections.abc import Sequence

from bot.core.errors import UnknownName
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.autocomplete import MAX_CHOICES
from bot.dispatch.declaration import Choice, Command, command, option
from bot.dispatch.services import Services

PLATFORMS = ("discord", "slack", "web", "console")


def _suggest_targets(services: Services, typed: str) -> Sequence[Choice]:
    wanted = typed.strip().lower()
    names = ["all", *PLATFORMS, *(model.key for model in services.catalogue.list_all())]
    return [Choice(name, name) for name in names if wanted in name][:MAX_CHOICES]


@command("pause", rank=Rank.OWNER, private=True)
class Pause(Command):
    """Start nothing new of a model, on a platform, or at all."""

    what: str = option("What? A model, a platform, or all.", max_length=100, autocomplete=_suggest_targets)
    reason: str = option("Why? People read it.", default="", max_length=200)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        what = _parse_target(self.what, services)
        await services.moderation.admin.pause(invocation.user, what, self.reason)
        named = what.rpartition(":")[2]
        text = f"Nothing new of `{named}` starts until `/resume {named}`. What runs goes on."
        return Reply(text=text, is_private=True)


def _parse_target(name: str, services: Services) -> str:
    """As pauses are kept: `all`, `platform:web`, `model:sdxl`. Raises `UnknownName` with the nearest."""
    wanted = name.strip().lower()
    if wanted == "all":
        return "all"
    if wanted in PLATFORMS:
        return f"platform:{wanted}"
    if wanted in services.catalogue:
        return f"model:{wanted}"
    known = ["all", *PLATFORMS, *(model.key for model in services.catalogue.list_all())]
    raise UnknownName("model or platform", name, known, advice="/models lists the models.")
