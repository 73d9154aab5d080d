"""A whole Discord on loopback: start it, point a bot at its addresses, and be the people who use the bot.

async with DiscordEmulator() as emulator:
    guild = emulator.add_guild("Foxes")
    ana = guild.member("Ana")
    asked = await ana.command("imagine", {"prompt": "a fox"}, channel=guild.channels[0])
    message = await asked.message()
    assert emulator.violations == []
"""

from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS
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
"""Flags of a small application whose privileged intents are switched on in its settings."""

TOKEN = "local.bot.token"


class DiscordEmulator:
    """`latency` is the round trip of a REST request in seconds, half of it before the platform acts; `gateway_latency`
    is one way. `speed` divides the platform's spans (see PlatformClock). `violations` is what a test asserts empty.
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
        """With `checks_itself`: where the emulator's answers differ from Discord's description."""
        self.clock = DiscordClock(speed)
        self.state = DiscordState(self.clock)
        self.request_log = DiscordRequestLog()
        self.faults = DiscordFaults()
        self.rate_limits = DiscordRateLimitCounter(self.clock)
        self.gateway = DiscordGatewayServer(self)
        self.file_server = DiscordFileServer(self)
        self.owner = self.state.add_user("owner of the application")
        self.recommended_shards = 1
        self.min_shards = 1
        self.max_old_edits = 30
        """How often a message older than an hour may be edited before 30046. Discord does not tell the number."""
        self.redundant_edits: list[DiscordRequestRecord] = []
        """Edits after which the message showed what it showed before."""
        self.commands_created_today = 0
        self._runner: web.AppRunner | None = None
        self._address = ""
        self.state.announce = self.gateway.announce
        self.state.announce_channel = self._announce_channel
        self.state.announce_role = self._announce_role
        self.state.make_person = lambda user, guild: DiscordPerson(self, user, guild)

    # Life.

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
        self.state.cdn_url = self.cdn_url

    async def stop(self) -> None:
        """Connections are closed as by a vanished platform: without a word."""
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

    # Addresses.

    @property
    def api_url(self) -> str:
        """With the version, as `discord.http.Route.BASE` wants it."""
        return f"http://{self._address}/api/v10"

    @property
    def gateway_url(self) -> str:
        return f"ws://{self._address}/gateway/"

    @property
    def cdn_url(self) -> str:
        return f"http://{self._address}/cdn"

    # What a test reads.

    @property
    def bot(self) -> DiscordUserState:
        return self.state.bot

    @property
    def violations(self) -> list[str]:
        """What a well-behaved bot does not do, in sentences: also the interactions it left without an answer."""
        silent = [
            one
            for one in self.state.interactions.values()
            if one.was_delivered and not one.is_acknowledged and one.is_late
        ]
        return [*self.request_log.violations, *(f"{one} was never acknowledged" for one in silent)]

    def find_requests(self, operation: str | None = None) -> list[DiscordRequestRecord]:
        """All requests, or those of one operation, by its id in Discord's description."""
        return self.request_log.requests if operation is None else self.request_log.find_requests(operation)

    def list_bot_guilds(self) -> list[DiscordGuildState]:
        return [guild for guild in self.state.guilds.values() if guild.has_bot and not guild.is_gone]

    async def wait_for(self, condition: Any, description: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> Any:
        """The first truthy answer of `look`, asked after each change. Raises NotSeen, naming `what`."""
        return await self.state.changes.wait_for(condition, description, timeout_seconds)

    async def wait_for_connections(self, sessions: int = 1, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        """Until this many sessions are connected."""
        await self.wait_for(
            lambda: len(self.gateway.connected_sessions) >= sessions, f"{sessions} gateway sessions", timeout_seconds
        )

    # Places and people.

    def add_guild(
        self, name: str = "Guild", *, channels: tuple[str, ...] = ("general",), **traits: Any
    ) -> DiscordGuildState:
        """With text channels. `has_bot=False` makes one where the bot is not; `guild_id` chooses the shard."""
        guild = self.state.add_guild(name, **traits)
        for channel in channels:
            guild.add_channel(channel)
        self._announce_arrival(guild)
        return guild

    def add_person(self, name: str, guild: DiscordGuildState | None = None, **traits: Any) -> DiscordPerson:
        """Somebody who is in no guild, or in one where they are a plain member."""
        if guild is not None:
            return guild.add_member(name, **traits)
        return DiscordPerson(self, self.state.add_user(name, **traits))

    def add_group(self, *people: DiscordPerson) -> DiscordChannelState:
        """A group of people's direct messages, where the bot is not."""
        return self.state.add_channel(GROUP, "group", recipients=[person.user for person in people])

    # What happens to places.

    def invite_bot(self, guild: DiscordGuildState) -> None:
        self.state.add_bot(guild)
        self._announce_arrival(guild)

    def kick_bot(self, guild: DiscordGuildState) -> None:
        self.state.announce("GUILD_DELETE", guild, lambda reader: {"id": str(guild.id)})
        guild.has_bot = False
        del guild.members[self.bot.id]
        self.state.changes.notify()

    def delete_channel(self, channel: DiscordChannelState) -> None:
        """And its threads."""
        for thread in channel.threads:
            self.delete_channel(thread)
        channel.is_deleted = True
        self._announce_channel("CHANNEL_DELETE", channel)
        self.state.changes.notify()

    def delete_message(self, message: DiscordMessageState) -> None:
        delete_message(self.state, message)

    def archive_thread(self, thread: DiscordChannelState, *, locked: bool = False) -> None:
        set_thread_archived(self.state, thread, locked=locked)

    def _announce_arrival(self, guild: DiscordGuildState) -> None:
        if guild.has_bot:
            self.state.announce("GUILD_CREATE", guild, lambda reader: guild_create_json(guild, self.bot))

    def _announce_role(self, guild: DiscordGuildState, role: DiscordRoleState) -> None:
        if guild.has_bot:
            told = {"guild_id": str(guild.id), "role": role_json(role)}
            self.state.announce("GUILD_ROLE_CREATE", guild, lambda reader: told)

    def _announce_channel(self, event: str, channel: DiscordChannelState) -> None:
        if channel.guild is None or not channel.guild.has_bot:
            return
        if channel.is_thread:
            event = event.replace("CHANNEL", "THREAD")
            told = thread_json(channel, self.bot)
        else:
            told = channel_json(channel)
        self.state.announce(event, channel.guild, lambda reader: told)
