"""A whole Discord on loopback: start the emulator, connect a bot, and act as the bot's users.

async with DiscordEmulator() as emulator:
    guild = emulator.add_guild("Foxes")
    ana = guild.add_member("Ana")
    interaction = await ana.use_command("imagine", {"prompt": "a fox"}, channel=guild.channels[0])
    message = await interaction.wait_for_message()
    assert emulator.violations == []
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS, Found
from tests.emulators.discord.api_server import MAX_REQUEST_BYTES, DiscordApiServer
from tests.emulators.discord.clock import DiscordClock
from tests.emulators.discord.faults import DiscordFaults
from tests.emulators.discord.files import DiscordFileServer
from tests.emulators.discord.gateway import DiscordGatewayServer
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.payloads import channel_json, guild_create_json, role_json, thread_json
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.posting import delete_message
from tests.emulators.discord.rate_limits import DiscordRateLimitCounter
from tests.emulators.discord.request_log import DiscordRequestLog, DiscordRequestRecord
from tests.emulators.discord.state import (
    GROUP,
    DiscordChannelState,
    DiscordGuildState,
    DiscordRoleState,
    DiscordState,
    DiscordUserState,
)
from tests.emulators.discord.threads import set_thread_archived

MESSAGE_CONTENT_ALLOWED = 1 << 19
MEMBERS_ALLOWED = 1 << 15
PRESENCES_ALLOWED = 1 << 13
"""Application flags (discord.com/developers/docs/resources/application) of an unverified app with privileged intents.
"""

TOKEN = "local.bot.token"


class DiscordEmulator:
    """`latency_seconds` is the round trip of a REST request, half before the platform acts; `gateway_latency_seconds`
    is one way. `speed` divides the platform's time spans (`DiscordClock`). Tests assert that `violations` is empty.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        latency_seconds: float = 0.0,
        gateway_latency_seconds: float = 0.0,
        speed: float = 1.0,
        application_flags: int = MESSAGE_CONTENT_ALLOWED,
        validates_responses: bool = False,
    ) -> None:
        self.token = token
        self.latency_seconds = latency_seconds
        self.gateway_latency_seconds = gateway_latency_seconds
        self.application_flags = application_flags
        self.validates_responses = validates_responses
        self.response_violations: list[str] = []
        """With `validates_responses`: differences between the emulator's responses and Discord's description."""
        self.clock = DiscordClock(speed)
        self.state = DiscordState(self, self.clock)
        self.request_log = DiscordRequestLog()
        self.faults = DiscordFaults()
        self.rate_limits = DiscordRateLimitCounter(self.clock)
        self.gateway = DiscordGatewayServer(self)
        self.file_server = DiscordFileServer(self)
        self.owner = self.state.add_user("owner of the application")
        self.recommended_shards = 1
        self.min_shards = 1
        self.max_old_edits = 30
        """Edits of a message older than an hour before error 30046. Discord does not document the number."""
        self.redundant_edits: list[DiscordRequestRecord] = []
        """Edits that changed nothing visible."""
        self.commands_created_today = 0
        self._runner: web.AppRunner | None = None
        self._address = ""

    # Start and stop.

    async def start(self) -> None:
        application = web.Application(client_max_size=MAX_REQUEST_BYTES)
        application.router.add_route("*", "/api/v10/{path:.*}", DiscordApiServer(self).handle)
        application.router.add_get("/gateway/", self.gateway.handle)
        application.router.add_get("/cdn/{folder}/{channel}/{file}/{name}", self.file_server.handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._address = f"127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Drop all connections without a close frame, as if the platform had vanished."""
        if self._runner is not None:
            self.gateway.drop_connections()
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # URLs.

    @property
    def api_url(self) -> str:
        """Return the URL with the API version, in the form of `discord.http.Route.BASE`."""
        return f"http://{self._address}/api/v10"

    @property
    def gateway_url(self) -> str:
        return f"ws://{self._address}/gateway/"

    @property
    def cdn_url(self) -> str:
        return f"http://{self._address}/cdn"

    # Observations.

    @property
    def bot(self) -> DiscordUserState:
        return self.state.bot

    @property
    def violations(self) -> list[str]:
        """Return sentences about each act of the bot that Discord forbids, and each interaction left unacknowledged."""
        unanswered = [
            interaction
            for interaction in self.state.interactions.values()
            if interaction.was_delivered and not interaction.is_acknowledged and interaction.is_late
        ]
        return [*self.request_log.violations, *(f"{interaction} was never acknowledged" for interaction in unanswered)]

    def find_requests(self, operation: str | None = None) -> list[DiscordRequestRecord]:
        """Return all requests, or the requests of one operation (the id in Discord's description)."""
        return self.request_log.requests if operation is None else self.request_log.find_requests(operation)

    def list_bot_guilds(self) -> list[DiscordGuildState]:
        return [guild for guild in self.state.guilds.values() if guild.has_bot and not guild.is_gone]

    async def wait_for(
        self, condition: Callable[[], Found | None], description: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> Found:
        """Return the first truthy result of `condition`, checked after each change, or raise `ConditionNotMet`."""
        return await self.state.changes.wait_for(condition, description, timeout_seconds)

    async def wait_for_connections(self, sessions: int = 1, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        """Wait until at least `sessions` gateway sessions are connected."""
        await self.wait_for(
            lambda: len(self.gateway.connected_sessions) >= sessions, f"{sessions} gateway sessions", timeout_seconds
        )

    # Guilds and people.

    def add_guild(
        self, name: str = "Guild", *, channels: tuple[str, ...] = ("general",), **traits: Any
    ) -> DiscordGuildState:
        """Create a guild with text channels. `has_bot=False` leaves the bot out; `guild_id` decides the shard."""
        guild = self.state.add_guild(name, **traits)
        for channel in channels:
            guild.add_channel(channel)
        self._announce_arrival(guild)
        return guild

    def add_person(self, name: str, guild: DiscordGuildState | None = None, **traits: Any) -> DiscordPerson:
        """Create a person without a guild, or a plain member of `guild`."""
        if guild is not None:
            return guild.add_member(name, **traits)
        return self.create_person(self.state.add_user(name, **traits))

    def create_person(self, user: DiscordUserState, guild: DiscordGuildState | None = None) -> DiscordPerson:
        return DiscordPerson(self, user, guild)

    def add_group(self, *people: DiscordPerson) -> DiscordChannelState:
        """Create a group direct message between people, without the bot."""
        return self.state.add_channel(GROUP, "group", recipients=[person.user for person in people])

    # Events by moderators and the platform.

    def invite_bot(self, guild: DiscordGuildState) -> None:
        self.state.add_bot(guild)
        self._announce_arrival(guild)

    def kick_bot(self, guild: DiscordGuildState) -> None:
        self.state.announce("GUILD_DELETE", guild, lambda reader: {"id": str(guild.id)})
        guild.has_bot = False
        del guild.members[self.bot.id]
        self.state.changes.notify()

    def delete_channel(self, channel: DiscordChannelState) -> None:
        """Delete a channel and its threads."""
        for thread in channel.threads:
            self.delete_channel(thread)
        channel.is_deleted = True
        self.announce_channel("CHANNEL_DELETE", channel)
        self.state.changes.notify()

    def delete_message(self, message: DiscordMessageState) -> None:
        delete_message(self.state, message)

    def archive_thread(self, thread: DiscordChannelState, *, locked: bool = False) -> None:
        set_thread_archived(self.state, thread, locked=locked)

    def _announce_arrival(self, guild: DiscordGuildState) -> None:
        if guild.has_bot:
            self.state.announce("GUILD_CREATE", guild, lambda reader: guild_create_json(guild, self.bot))

    def announce_role(self, guild: DiscordGuildState, role: DiscordRoleState) -> None:
        if guild.has_bot:
            payload = {"guild_id": str(guild.id), "role": role_json(role)}
            self.state.announce("GUILD_ROLE_CREATE", guild, lambda reader: payload)

    def announce_channel(self, event: str, channel: DiscordChannelState) -> None:
        if channel.guild is None or not channel.guild.has_bot:
            return
        if channel.is_thread:
            event = event.replace("CHANNEL", "THREAD")
            payload = thread_json(channel, self.bot)
        else:
            payload = channel_json(channel)
        self.state.announce(event, channel.guild, lambda reader: payload)
