"""/settings general: time zone, how long things are kept, and above which price a button asks first."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import change_and_reply, suggest_time_zones, validate_time_zone
from bot.moderation.settings import format_setting_key

MAX_CONFIRM_CREDITS = 1_000_000


@command("settings general", rank=Rank.MODERATOR, private=True)
class SettingsGeneral(Command):
    """Set the time zone, how long things are kept, and above which price a button asks first."""

    time_zone: str | None = option(
        "Which time zone, as in Europe/Berlin?", default=None, max_length=60, autocomplete=suggest_time_zones
    )
    keep_days: int | None = option("How many days is what was asked kept?", default=None, minimum=1, maximum=3_650)
    confirm_above: float | None = option(
        "Above how many credits does a button ask first? 0 never asks.",
        default=None,
        minimum=0,
        maximum=MAX_CONFIRM_CREDITS,
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        values: dict[str, JSON] = validate_time_zone(self.time_zone) if self.time_zone else {}
        if self.keep_days is not None:
            most = services.moderation.days_kept
            if self.keep_days > most:
                raise BadOption(f"keep_days may be {most} at most: I keep nothing longer.", option="keep_days")
            values[format_setting_key("retention_days")] = self.keep_days
        if self.confirm_above is not None:
            values[format_setting_key("confirm_above_credits")] = self.confirm_above
        if not values:
            raise BadOption("Say what to change: time_zone, keep_days or confirm_above.", option="time_zone")
        return await change_and_reply(
            services, invocation.user, values, "time_zone", "retention_days", "confirm_above_credits"
        )
