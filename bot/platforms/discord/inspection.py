"""Inspects the application at Discord without connecting to the gateway, for `doctor`."""

from dataclasses import dataclass

import discord

from bot.core.errors import UserError
from bot.dispatch.parsing import Menu
from bot.platforms.discord.config import DiscordConfig
from bot.platforms.discord.connection import can_read_message_content
from bot.platforms.discord.discord_py_internals import RawRequests, use_api
from bot.platforms.discord.errors import REFUSED_TOKEN, REQUEST_ERRORS
from bot.platforms.discord.permissions import build_invite_link, find_missing_permissions
from bot.platforms.discord.registration import build_application_commands, compare_commands
from bot.telemetry.redaction import Redactor, describe_origin


@dataclass(frozen=True, slots=True)
class ApplicationReport:
    """The state of the application at Discord."""

    name: str
    invite_link: str
    has_message_content_intent: bool
    interactions_endpoint_url: str
    """If set, Discord sends interactions to this URL and not through the gateway."""
    outdated_commands: tuple[str, ...]
    """Commands at Discord that differ from the menu."""
    missing_permissions: dict[str, list[str]]
    """Missing permissions by server name."""
    server_count: int


async def inspect_application(config: DiscordConfig, menu: Menu) -> ApplicationReport:
    """Read the application. Raise `UserError` if Discord refuses the token or is not reached."""
    use_api(config.api_url)
    client = discord.Client(intents=discord.Intents.none())
    try:
        await client.login(config.token)
        return await _build_report(client, config, menu)
    except discord.LoginFailure as error:
        raise UserError(REFUSED_TOKEN) from error
    except (discord.DiscordException, *REQUEST_ERRORS) as error:
        reason = Redactor().redact_text(str(error))
        raise UserError(f"Discord is not reached at {describe_origin(config.api_url)}: {reason}.") from error
    finally:
        await client.close()


async def _build_report(client: discord.Client, config: DiscordConfig, menu: Menu) -> ApplicationReport:
    raw = RawRequests(client)
    application = await client.application_info()
    guilds = await raw.fetch_guilds()
    missing = {
        guild["name"]: names
        for guild in guilds
        if (names := find_missing_permissions(discord.Permissions(int(guild["permissions"])), include_optional=True))
    }
    wanted = build_application_commands(menu, allow_user_installs=config.allow_user_installs)
    return ApplicationReport(
        name=application.name,
        invite_link=build_invite_link(application.id),
        has_message_content_intent=can_read_message_content(application.flags),
        interactions_endpoint_url=application.interactions_endpoint_url or "",
        outdated_commands=tuple(compare_commands(await raw.fetch_commands(), wanted)),
        missing_permissions=missing,
        server_count=len(guilds),
    )
