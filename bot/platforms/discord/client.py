"""discord.py's client, as this bot uses it: no caches of people and messages, only the intents that are needed."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import aiohttp
import discord

from bot.platforms.discord.arriving import make_parsers_tolerant

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
