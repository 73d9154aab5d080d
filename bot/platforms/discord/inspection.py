"""A look at the application from outside, without connecting: what `doctor` tells of."""

from dataclasses import dataclass

import aiohttp
import discord

from bot.core.errors import UserError
from bot.dispatch.parsing import Menu
from bot.platforms.discord.config import DiscordConfig
from bot.platforms.discord.connection import REFUSED_TOKEN, DiscordClient, can_read_message_content
from bot.platforms.discord.discord_py_internals import use_api
from bot.platforms.discord.permissions import build_invite_link, find_missing_permissions
from bot.platforms.discord.registration import build_application_commands, compare_commands, fetch_commands
from bot.platforms.discord.responses import create_trace


@dataclass(frozen=True, slots=True)
class ApplicationReport:
    """What Discord says of the application."""

    name: str
    invite_link: str
    has_message_content_intent: bool
    """Whether the Message Content intent is switched on."""
    interactions_endpoint_url: str
    """Where Discord sends interactions instead of the gateway, if somebody set that."""
    outdated_commands: tuple[str, ...]
    """Commands that are not at Discord as they are here."""
    missing_permissions: dict[str, list[str]]
    """Servers where permissions are missing, and which."""
    server_count: int


async def inspect_application(config: DiscordConfig, menu: Menu) -> ApplicationReport:
    """Ask Discord. Raises a `UserError` where the token is refused or Discord is not reached."""
    use_api(config.api_url)
    client = DiscordClient(discord.Intents.none(), create_trace(), ())
    try:
        await client.login(config.token)
        return await _build_report(client, config, menu)
    except discord.LoginFailure as error:
        raise UserError(REFUSED_TOKEN) from error
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        raise UserError(f"Discord is not reached at {config.api_url}: {error}.") from error
    finally:
        await client.close()


async def _build_report(client: DiscordClient, config: DiscordConfig, menu: Menu) -> ApplicationReport:
    application = await client.application_info()
    guilds = await client.http.get_guilds(limit=200, with_counts=False)
    lacking = {
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
        outdated_commands=tuple(compare_commands(await fetch_commands(client), wanted)),
        missing_permissions=lacking,
        server_count=len(guilds),
    )
