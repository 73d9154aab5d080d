"""discord.py's client, as this bot uses it: no caches of people and messages, only the intents that are needed."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Protocol

import aiohttp
import discord
from aiohttp.web import RouteDef

from bot.core.clock import Clock
from bot.core.errors import Unavailable, UserError
from bot.core.platform import Platform
from bot.dispatch.dispatcher import Dispatcher
from bot.platforms.discord.chat import DiscordChat
from bot.platforms.discord.config import DiscordConfig
from bot.platforms.discord.context import InteractionContext
from bot.platforms.discord.discord_py_internals import use_api, use_gateway
from bot.platforms.discord.events import DiscordEventRouter, GuildGreeter
from bot.platforms.discord.gateway_defaults import make_parsers_tolerant
from bot.platforms.discord.pacing import DiscordEditLimits
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.registration import register
from bot.platforms.discord.replies import DiscordReplies, InteractionResponder
from bot.platforms.discord.responses import RequestSender, create_trace
from bot.platforms.discord.rest_api import DiscordRestApi
from bot.platforms.discord.uploads import DiscordFiles, PathOf
from bot.platforms.discord.users import DiscordUsers
from bot.storage.database import Database

log = logging.getLogger(__name__)

# There is nothing to hear or say here: no warning that voice lacks its libraries.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

READY_AFTER_SECONDS = 0.1
"""How long after the last server it is taken that all have arrived. Later ones say themselves that they are not new."""


def can_read_message_content(flags: discord.ApplicationFlags) -> bool:
    """Whether the application may read what people write, and not only to the bot."""
    return flags.gateway_message_content or flags.gateway_message_content_limited


class Listener(Protocol):
    """Handles the events of the gateway."""

    async def route_interaction(self, interaction: discord.Interaction) -> None: ...

    async def route_message(self, message: discord.Message) -> None: ...

    async def route_guild_join(self, guild: discord.Guild) -> None: ...

    async def route_guild_leave(self, guild: discord.Guild) -> None: ...


class DiscordClient(discord.AutoShardedClient):
    """Calls each of `listeners` with the events of the gateway. `connected` holds the shards that are connected.

    Listeners send through the client, so the client exists first: the list is given to both.
    """

    def __init__(
        self,
        intents: discord.Intents,
        http_trace: aiohttp.TraceConfig,
        shard_ids: tuple[int, ...],
        listeners: Sequence[Listener] = (),
        **options: Any,
    ) -> None:
        super().__init__(
            intents=intents,
            http_trace=http_trace,
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=READY_AFTER_SECONDS,
            **options,
        )
        self.shard_ids = list(shard_ids) or None
        self.connected_shards: set[int] = set()
        self._gateway_listeners = listeners
        self._known_guilds: set[int] = set()
        make_parsers_tolerant(self._connection.parsers)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        for listener in self._gateway_listeners:
            await listener.route_interaction(interaction)

    async def on_message(self, message: discord.Message) -> None:
        for listener in self._gateway_listeners:
            await listener.route_message(message)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        if guild.id in self._known_guilds:  # not each Discord says that a server which comes late is an old one
            return
        for listener in self._gateway_listeners:
            await listener.route_guild_join(guild)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        self._known_guilds.discard(guild.id)
        for listener in self._gateway_listeners:
            await listener.route_guild_leave(guild)

    async def on_shard_connect(self, shard_id: int) -> None:
        self.connected_shards.add(shard_id)
        self._known_guilds.update(guild.id for guild in self.guilds)
        log.info("discord.connected", extra={"shard": shard_id})

    async def on_shard_resumed(self, shard_id: int) -> None:
        self.connected_shards.add(shard_id)
        log.info("discord.resumed", extra={"shard": shard_id})

    async def on_shard_disconnect(self, shard_id: int) -> None:
        self.connected_shards.discard(shard_id)
        log.warning("discord.disconnected", extra={"shard": shard_id})


# MERGED The connection to Discord: signing in, hearing people, going quiet and signing out.

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
