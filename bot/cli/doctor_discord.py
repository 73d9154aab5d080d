"""What `doctor` looks at of Discord: token, intents, commands, permissions in each server, and the invite link."""

from typing import TYPE_CHECKING

from bot.app import make_discord_config
from bot.cli.findings import DoctorCheck, DoctorFinding
from bot.commands import MENU
from bot.core.errors import UserError
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.platforms.discord.looking import ApplicationReport

_BOT_PAGE = "the Bot page of your application at discord.com/developers/applications"
_MAX_NAMED = 5


class _DiscordInspection:
    """One look for all checks: each of them would sign in again."""

    def __init__(self) -> None:
        self._result: tuple[Settings, ApplicationReport | UserError] | None = None

    async def get(self, settings: Settings) -> "ApplicationReport | UserError | None":
        """What was seen, or why nothing could be; None where Discord is off."""
        if settings.discord_token is None:
            return None
        if self._result is None or self._result[0] is not settings:
            from bot.platforms.discord.looking import inspect_application  # discord.py is loaded only where it is used

            try:
                self._result = (settings, await inspect_application(make_discord_config(settings), MENU))
            except UserError as error:
                self._result = (settings, error)
        return self._result[1]


_inspection = _DiscordInspection()


async def _check_discord_token(settings: Settings) -> DoctorFinding | None:
    seen = await _inspection.get(settings)
    if isinstance(seen, UserError):
        return DoctorFinding(
            "fail", str(seen), "See docs/discord.md. Check DISCORD_TOKEN, DISCORD_API_URL and the network."
        )
    return (
        None
        if seen is None
        else DoctorFinding("ok", f"Discord knows the bot as {seen.name}, in {_format_server_count(seen.server_count)}.")
    )


async def _check_intents(settings: Settings) -> DoctorFinding | None:
    seen = await _inspection.get(settings)
    if seen is None or isinstance(seen, UserError):
        return None
    if not seen.has_message_content_intent:
        what = "Message Content is off: in servers the bot reads only mentions, replies to it and commands."
        return DoctorFinding("warn", what, f"Switch it on on {_BOT_PAGE}, to talk in threads without mentions.")
    return DoctorFinding("ok", "Message Content is on: conversations go on in their threads without mentions.")


async def _check_endpoint(settings: Settings) -> DoctorFinding | None:
    seen = await _inspection.get(settings)
    if seen is None or isinstance(seen, UserError) or not seen.interactions_endpoint_url:
        return None
    what = f"Discord sends commands and buttons to {seen.interactions_endpoint_url}, and not to the bot."
    return DoctorFinding("fail", what, "Empty the Interactions Endpoint URL on the General Information page.")


async def _check_commands(settings: Settings) -> DoctorFinding | None:
    seen = await _inspection.get(settings)
    if seen is None or isinstance(seen, UserError):
        return None
    if seen.outdated_commands:
        return DoctorFinding(
            "warn",
            f"Discord knows other commands: {_format_command_names(seen.outdated_commands)}.",
            "The next start tells it.",
        )
    return DoctorFinding("ok", "Discord knows the commands.")


async def _check_permissions(settings: Settings) -> DoctorFinding | None:
    seen = await _inspection.get(settings)
    if seen is None or isinstance(seen, UserError):
        return None
    if seen.missing_permissions:
        told = "; ".join(
            f"{name}: {', '.join(lacks)}" for name, lacks in list(seen.missing_permissions.items())[:_MAX_NAMED]
        )
        return DoctorFinding(
            "warn", f"Permissions are missing in {told}.", "Give them to the bot's role, or invite it again."
        )
    return DoctorFinding("ok", "The bot has every permission it needs, as far as roles say.")


async def _show_invite(settings: Settings) -> DoctorFinding | None:
    seen = await _inspection.get(settings)
    if seen is None or isinstance(seen, UserError):
        return None
    return DoctorFinding("ok", f"Invite the bot with {seen.invite_link}")


def _format_server_count(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"


def _format_command_names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(f"/{name}" for name in names[:_MAX_NAMED]) + more


DISCORD_REMOTE_CHECKS: tuple[DoctorCheck, ...] = (
    _check_discord_token,
    _check_intents,
    _check_endpoint,
    _check_commands,
    _check_permissions,
    _show_invite,
)
