"""discord.py's own client, unmodified, connected to the emulator."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.state import DiscordChannelState

INTENTS = discord.Intents(guilds=True, messages=True, message_content=True)


@contextmanager
def redirect_discord_py(emulator: DiscordEmulator) -> Iterator[None]:
    """Point discord.py's REST and gateway URLs at the emulator; restore both on exit."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = emulator.api_url, yarl.URL(emulator.gateway_url)
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


class DiscordTestClient(discord.Client):
    """A client with a command tree. Mentions notify no users; READY waits 50 ms for the last guild instead of 2 s."""

    def __init__(self, intents: discord.Intents = INTENTS, **options: Any) -> None:
        quiet = discord.AllowedMentions.none()
        super().__init__(intents=intents, allowed_mentions=quiet, guild_ready_timeout=0.05, **options)
        self.tree = app_commands.CommandTree(self)
        self.received_messages: list[discord.Message] = []
        self.on_text_message: Callable[[discord.Message], Awaitable[None]] | None = None
        self._running: asyncio.Task[None] | None = None

    async def connect_to(self, emulator: DiscordEmulator) -> None:
        await self.login(emulator.token)
        self._running = asyncio.create_task(self.connect())
        await emulator.wait_for_connections()
        await self.wait_until_ready()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Skip discord.py's pause of five seconds before a second IDENTIFY: the emulator needs no pause."""

    def find_text_channel(self, channel: DiscordChannelState) -> discord.TextChannel:
        """Return discord.py's object for a channel of the emulator."""
        found = self.get_channel(channel.id)
        assert isinstance(found, discord.TextChannel)
        return found

    async def on_message(self, message: discord.Message) -> None:
        self.received_messages.append(message)
        if self.on_text_message is not None and message.author != self.user:
            await self.on_text_message(message)

    async def close(self) -> None:
        await super().close()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
