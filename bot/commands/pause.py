"""/pause and /resume: stop and allow new jobs of a model, of a platform, or of the whole bot. Running jobs go on."""

from collections.abc import Sequence

from bot.core.errors import BadOption, UnknownName
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import MAX_CHOICES, Choice, Command, Services, command, option

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
        target = _parse_target(self.what, services)
        await services.moderation.admin.pause(invocation.user, target, self.reason)
        name = target.rpartition(":")[2]
        text = f"Nothing new of `{name}` starts until `/resume {name}`. What runs goes on."
        return Reply(text=text, is_private=True)


def _parse_target(name: str, services: Services) -> str:
    """Return the stored form: `all`, `platform:web`, `model:sdxl`. Raise `UnknownName` with the nearest name."""
    wanted = name.strip().lower()
    if wanted == "all":
        return "all"
    if wanted in PLATFORMS:
        return f"platform:{wanted}"
    if wanted in services.catalogue:
        return f"model:{wanted}"
    known = ["all", *PLATFORMS, *(model.key for model in services.catalogue.list_all())]
    raise UnknownName("model or platform", name, known, advice="/models lists the models.")


@command("resume", rank=Rank.OWNER, private=True)
class Resume(Command):
    """Start again what was paused, or list it."""

    what: str = option("What? A list of what is paused if you say nothing.", default="", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        admin = services.moderation.admin
        pauses = {target.rpartition(":")[2]: (target, reason) for target, reason in (await admin.list_pauses()).items()}
        if not self.what:
            return Reply(text=_format_pauses({name: reason for name, (_, reason) in pauses.items()}), is_private=True)
        pause = pauses.get(self.what.strip().lower())
        if pause is None:
            raise BadOption(f"“{self.what}” is not paused. /resume alone lists what is.", option="what")
        await admin.pause(invocation.user, pause[0], None)
        return Reply(text=f"`{self.what}` starts again.", is_private=True)


def _format_pauses(pauses: dict[str, str]) -> str:
    if not pauses:
        return "Nothing is paused."
    return "\n".join(f"- `{name}`{f': {reason}' if reason else ''}" for name, reason in sorted(pauses.items()))
