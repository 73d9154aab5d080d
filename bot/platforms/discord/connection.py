"""The connection to Discord: signing in, hearing people, going quiet and signing out."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import aiohttp
import discord
from aiohttp.web import RouteDef

from bot.core.clock import Clock
from bot.core.errors import Unavailable, UserError
from bot.core.platform import Platform
from bot.dispatch.dispatcher import Dispatcher
from bot.platforms.discord.access import DiscordConfig
from bot.platforms.discord.acknowledging import InteractionResponder
from bot.platforms.discord.addresses import use_api, use_gateway
from bot.platforms.discord.answers import RequestSender, create_trace
from bot.platforms.discord.client import DiscordClient, Listener, can_read_message_content
from bot.platforms.discord.desk import InteractionContext
from bot.platforms.discord.files import DiscordFiles
from bot.platforms.discord.hearing import DiscordEventRouter
from bot.platforms.discord.pacing import DiscordEditLimits
from bot.platforms.discord.people import DiscordUsers
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.registering import register
from bot.platforms.discord.sending import DiscordRestApi
from bot.platforms.discord.showing import DiscordReplies
from bot.platforms.discord.talking import DiscordChat
from bot.platforms.discord.uploads import PathOf
from bot.platforms.discord.welcoming import GuildGreeter
from bot.storage.database import Database

log = logging.getLogger(__name__)

FIRST_CONNECTION_SECONDS = 20.0
"""How long a start waits for the gateway. It is tried on after that, while the rest of the bot works."""

REFUSED_TOKEN = "Discord does not take DISCORD_TOKEN. Make a new one on the Bot page of your application and copy it."  # noqa: S105 - a sentence about it
_CLOSE_REASONS = {
    4004: REFUSED_TOKEN,
    4010: "DISCORD_SHARD_IDS names a shard that DISCORD_SHARD_COUNT does not have.",
    4011: "The bot is in too many servers for so few shards: raise DISCORD_SHARD_COUNT, or leave it empty.",
    4012: "Discord no longer speaks the version of its gateway that discord.py uses: update the bot.",
    4013: "Discord does not know the intents that were asked for.",
    4014: "Discord took an intent back. Switch on Message Content on the Bot page of your application, and restart.",
}


class DiscordConnection:
    """Implements `core.platform.Connection`. `path_of` finds a kept picture."""

    def __init__(
        self, config: DiscordConfig, dispatcher: Dispatcher, database: Database, path_of: PathOf, clock: Clock
    ) -> None:
        self._config = config
        self._dispatcher = dispatcher
        self._database = database
        self._path_of = path_of
        self._clock = clock
        self._requests = RequestSender()
        self._intents = discord.Intents(guilds=True, messages=True)
        self._client: DiscordClient | None = None
        self._platform: DiscordPlatform | None = None
        self._router: DiscordEventRouter | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def platform(self) -> Platform:
        if self._platform is None:
            raise Unavailable("Discord is not open yet.")
        return self._platform

    async def open(self) -> None:
        """Sign in. Raises a `UserError` where Discord does not let us, or is not reached."""
        use_api(self._config.api_url)
        listeners: list[Listener] = []
        client = DiscordClient(
            self._intents, create_trace(), self._config.shard_ids, listeners, shard_count=self._config.shard_count or 1
        )
        self._client = client
        try:
            await client.login(self._config.token)
            shards, gateway, _ = await client.http.get_bot_gateway()
        except discord.LoginFailure as error:
            raise UserError(REFUSED_TOKEN) from error
        except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
            raise UserError(f"Discord is not reached at {self._config.api_url}: {error}.") from error
        use_gateway(self._config.gateway_url or gateway)
        client.shard_count = self._config.shard_count or shards
        # discord.py keeps this object and reads it when it connects.
        self._intents.message_content = can_read_message_content(client.application_flags)
        self._build_parts(client, listeners)

    async def listen(self) -> None:
        """Tell Discord the commands, and connect."""
        if (client := self._client) is None:
            raise Unavailable("Discord is not open yet.")
        await self._register(client)
        is_connected = asyncio.create_task(self._wait_for_shard(client))
        self._running = asyncio.create_task(self._run(client), name="discord")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CONNECTION_SECONDS):
                await asyncio.wait({self._running, is_connected}, return_when=asyncio.FIRST_COMPLETED)
        is_connected.cancel()

    async def stop_listening(self) -> None:
        """Turn people away, and wait for what was heard before."""
        if self._router is not None:
            await self._router.stop_listening()

    async def close(self) -> None:
        """Sign out."""
        if self._client is not None:
            await self._client.close()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        await self._requests.close()

    def routes(self) -> Sequence[RouteDef]:
        return ()

    def check(self) -> None:
        """Raises `Unavailable` while a shard of this process hears nobody."""
        if self._client is None or self._running is None or self._running.done():
            raise Unavailable("Discord is not connected.")
        shards = self._config.shard_ids or range(self._client.shard_count or 1)
        if deaf := set(shards) - self._client.connected_shards:
            raise Unavailable(f"Discord is not connected on {len(deaf)} of {len(shards)} shards.")

    def _build_parts(self, client: DiscordClient, listeners: list[Listener]) -> None:
        """Put the parts together."""
        moderation, clock = self._dispatcher.services.moderation, self._clock
        buckets = DiscordEditLimits(clock)
        sender = DiscordRestApi(client, self._requests, buckets, clock)
        platform = DiscordPlatform(client, sender, buckets, moderation, self._path_of, clock)
        desk = InteractionContext(
            dispatcher=self._dispatcher,
            responder=InteractionResponder(self._requests, sender),
            replies=DiscordReplies(platform, sender),
            users=DiscordUsers(client, moderation, clock, allow_user_installs=self._config.allow_user_installs),
            files=DiscordFiles(client, self._config.cdn_url),
            platform=platform,
            api=sender,
        )
        welcoming = GuildGreeter(platform, moderation, self._database, clock)
        self._router = DiscordEventRouter(desk, DiscordChat(client, desk, self._database), welcoming)
        listeners.append(self._router)
        self._platform = platform

    async def _register(self, client: DiscordClient) -> None:
        """Without this the commands of the last time stay, which is better than no bot."""
        menu, installs = self._dispatcher.services.menu, self._config.allow_user_installs
        try:
            await register(client, menu, allow_user_installs=installs)
        except (discord.DiscordException, aiohttp.ClientError, OSError):
            log.exception("discord.commands_not_registered")

    async def _run(self, client: DiscordClient) -> None:
        try:
            await client.connect()
        except discord.ConnectionClosed as error:
            log.error(
                "discord.closed", extra={"code": error.code, "reason": _CLOSE_REASONS.get(error.code or 0, str(error))}
            )
        except discord.PrivilegedIntentsRequired:
            log.error("discord.closed", extra={"code": 4014, "reason": _CLOSE_REASONS[4014]})
        except Exception:
            log.exception("discord.stopped")

    async def _wait_for_shard(self, client: DiscordClient) -> None:
        await client.wait_for("shard_connect")
