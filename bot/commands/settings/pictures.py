"""/settings pictures: models for adults, flagged pictures, and asking for the very same again."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import change_and_reply
from bot.moderation.settings import format_setting_key


@command("settings pictures", rank=Rank.MODERATOR, private=True)
class SettingsPictures(Command):
    """Set what happens with models for adults, flagged pictures and repeated asks."""

    adult: str | None = option("Where do models for adults run?", default=None, choices=("off", "age_restricted"))
    flagged: str | None = option("What about flagged pictures?", default=None, choices=("spoiler", "refuse"))
    reuse: bool | None = option("Answer the very same from what is kept, for nothing?", default=None)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        given: dict[str, JSON] = {"adult": self.adult, "flagged": self.flagged, "reuse": self.reuse}
        values = {format_setting_key(name): value for name, value in given.items() if value is not None}
        if not values:
            raise BadOption("Say what to change: adult, flagged or reuse.", option="adult")
        return await change_and_reply(services, invocation.user, values, *given)
