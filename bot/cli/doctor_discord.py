"""What `doctor` looks at of Discord: token, intents, commands, permissions in each server, and the invite link."""

from typing import TYPE_CHECKING

from bot.app import discord_access
from bot.cli.findings import Check, Finding
from bot.commands import MENU
from bot.core.errors import UserError
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.platforms.discord.looking import Looked

_BOT_PAGE = "the Bot page of your application at discord.com/developers/applications"
_MOST_NAMED = 5


class _Look:
    """One look for all checks: each of them would sign in again."""

    def __init__(self) -> None:
        self._seen: tuple[Settings, Looked | UserError] | None = None

    async def of(self, settings: Settings) -> "Looked | UserError | None":
        """What was seen, or why nothing could be; None where Discord is off."""
        if settings.discord_token is None:
            return None
        if self._seen is None or self._seen[0] is not settings:
            from bot.platforms.discord.looking import look  # discord.py is loaded only where it is used

            try:
                self._seen = (settings, await look(discord_access(settings), MENU))
            except UserError as error:
                self._seen = (settings, error)
        return self._seen[1]


_look = _Look()


async def _token(settings: Settings) -> Finding | None:
    seen = await _look.of(settings)
    if isinstance(seen, UserError):
        return Finding("fail", str(seen), "See docs/discord.md. Check DISCORD_TOKEN, DISCORD_API_URL and the network.")
    return (
        None if seen is None else Finding("ok", f"Discord knows the bot as {seen.name}, in {_servers(seen.servers)}.")
    )


async def _intents(settings: Settings) -> Finding | None:
    seen = await _look.of(settings)
    if seen is None or isinstance(seen, UserError):
        return None
    if not seen.hears_content:
        what = "Message Content is off: in servers the bot reads only mentions, replies to it and commands."
        return Finding("warn", what, f"Switch it on on {_BOT_PAGE}, to talk in threads without mentions.")
    return Finding("ok", "Message Content is on: conversations go on in their threads without mentions.")


async def _endpoint(settings: Settings) -> Finding | None:
    seen = await _look.of(settings)
    if seen is None or isinstance(seen, UserError) or not seen.endpoint:
        return None
    what = f"Discord sends commands and buttons to {seen.endpoint}, and not to the bot."
    return Finding("fail", what, "Empty the Interactions Endpoint URL on the General Information page.")


async def _commands(settings: Settings) -> Finding | None:
    seen = await _look.of(settings)
    if seen is None or isinstance(seen, UserError):
        return None
    if seen.drift:
        return Finding("warn", f"Discord knows other commands: {_some(seen.drift)}.", "The next start tells it.")
    return Finding("ok", "Discord knows the commands.")


async def _permissions(settings: Settings) -> Finding | None:
    seen = await _look.of(settings)
    if seen is None or isinstance(seen, UserError):
        return None
    if seen.lacking:
        told = "; ".join(f"{name}: {', '.join(lacks)}" for name, lacks in list(seen.lacking.items())[:_MOST_NAMED])
        return Finding(
            "warn", f"Permissions are missing in {told}.", "Give them to the bot's role, or invite it again."
        )
    return Finding("ok", "The bot has every permission it needs, as far as roles say.")


async def _invite(settings: Settings) -> Finding | None:
    seen = await _look.of(settings)
    if seen is None or isinstance(seen, UserError):
        return None
    return Finding("ok", f"Invite the bot with {seen.invite_link}")


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(f"/{name}" for name in names[:_MOST_NAMED]) + more


OUTSIDE: tuple[Check, ...] = (_token, _intents, _endpoint, _commands, _permissions, _invite)
