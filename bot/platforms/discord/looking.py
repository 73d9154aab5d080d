"""A look at the application from outside, without connecting: what `doctor` tells of."""

from dataclasses import dataclass

import aiohttp
import discord

from bot.core.errors import UserError
from bot.dispatch.parser import Menu
from bot.platforms.discord.access import Access
from bot.platforms.discord.addresses import use_api
from bot.platforms.discord.answers import trace
from bot.platforms.discord.client import EaselClient, hears_content
from bot.platforms.discord.commands import application_commands
from bot.platforms.discord.connection import REFUSED_TOKEN
from bot.platforms.discord.permissions import invite_link, missing
from bot.platforms.discord.registering import differences, known_commands


@dataclass(frozen=True, slots=True)
class Looked:
    """What Discord says of the application."""

    name: str
    invite_link: str
    hears_content: bool
    """Whether the Message Content intent is switched on."""
    endpoint: str
    """Where Discord sends interactions instead of the gateway, if somebody set that."""
    drift: tuple[str, ...]
    """Commands that are not at Discord as they are here."""
    lacking: dict[str, list[str]]
    """Servers where permissions are missing, and which."""
    servers: int


async def look(access: Access, menu: Menu) -> Looked:
    """Ask Discord. Raises a `UserError` where the token is refused or Discord is not reached."""
    use_api(access.api_url)
    client = EaselClient(discord.Intents.none(), trace(), ())
    try:
        await client.login(access.token)
        return await _looked(client, access, menu)
    except discord.LoginFailure as error:
        raise UserError(REFUSED_TOKEN) from error
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        raise UserError(f"Discord is not reached at {access.api_url}: {error}.") from error
    finally:
        await client.close()


async def _looked(client: EaselClient, access: Access, menu: Menu) -> Looked:
    application = await client.application_info()
    guilds = await client.http.get_guilds(limit=200, with_counts=False)
    lacking = {
        guild["name"]: names
        for guild in guilds
        if (names := missing(discord.Permissions(int(guild["permissions"])), with_comfort=True))
    }
    wanted = application_commands(menu, allow_user_installs=access.allow_user_installs)
    return Looked(
        name=application.name,
        invite_link=invite_link(application.id),
        hears_content=hears_content(application.flags),
        endpoint=application.interactions_endpoint_url or "",
        drift=tuple(differences(await known_commands(client), wanted)),
        lacking=lacking,
        servers=len(guilds),
    )
