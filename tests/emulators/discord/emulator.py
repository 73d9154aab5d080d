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

from tests.emulators.discord.changes import PATIENCE
from tests.emulators.discord.clock import PlatformClock
from tests.emulators.discord.faults import Faults
from tests.emulators.discord.files import FilesSide
from tests.emulators.discord.gateway import GatewaySide
from tests.emulators.discord.messages import Message
from tests.emulators.discord.payloads import channel_json, guild_create_json, role_json, thread_json_for
from tests.emulators.discord.people import Person
from tests.emulators.discord.posting import delete_message
from tests.emulators.discord.rate_limits import RateLimits
from tests.emulators.discord.records import Records, Request
from tests.emulators.discord.server import MOST_BYTES, HttpSide
from tests.emulators.discord.threads import archive
from tests.emulators.discord.world import GROUP, Channel, Guild, Role, User, World

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
        latency: float = 0.0,
        gateway_latency: float = 0.0,
        speed: float = 1.0,
        application_flags: int = MESSAGE_CONTENT_ALLOWED,
        checks_itself: bool = False,
    ) -> None:
        self.token = token
        self.latency = latency
        self.gateway_latency = gateway_latency
        self.application_flags = application_flags
        self.checks_itself = checks_itself
        self.own_faults: list[str] = []
        """With `checks_itself`: where the emulator's answers differ from Discord's description."""
        self.clock = PlatformClock(speed)
        self.world = World(self.clock)
        self.records = Records()
        self.faults = Faults()
        self.rate_limits = RateLimits(self.clock)
        self.gateway = GatewaySide(self)
        self.files = FilesSide(self)
        self.owner = self.world.add_user("owner of the application")
        self.recommended_shards = 1
        self.least_shards = 1
        self.old_edits_allowed = 30
        """How often a message older than an hour may be edited before 30046. Discord does not tell the number."""
        self.useless_edits: list[Request] = []
        """Edits after which the message showed what it showed before."""
        self.commands_created_today = 0
        self._runner: web.AppRunner | None = None
        self._address = ""
        self.world.announce = self.gateway.announce
        self.world.announce_channel = self._announce_channel
        self.world.announce_role = self._announce_role
        self.world.make_person = lambda user, guild: Person(self, user, guild)

    # Life.

    async def start(self) -> None:
        application = web.Application(client_max_size=MOST_BYTES)
        application.router.add_route("*", "/api/v10/{path:.*}", HttpSide(self).handle)
        application.router.add_get("/gateway/", self.gateway.handle)
        application.router.add_get("/cdn/{folder}/{channel}/{file}/{name}", self.files.handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._address = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self.world.cdn_url = self.cdn_url

    async def stop(self) -> None:
        """Connections are closed as by a vanished platform: without a word."""
        if self._runner is not None:
            self.gateway.cut_all()
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
    def bot(self) -> User:
        return self.world.bot

    @property
    def violations(self) -> list[str]:
        """What a well-behaved bot does not do, in sentences: also the interactions it left without an answer."""
        silent = [
            one for one in self.world.interactions.values() if one.was_heard and not one.is_answered and one.is_late
        ]
        return [*self.records.violations, *(f"{one} was never acknowledged" for one in silent)]

    def requests(self, operation: str | None = None) -> list[Request]:
        """All requests, or those of one operation, by its id in Discord's description."""
        return self.records.requests if operation is None else self.records.to(operation)

    def bot_guilds(self) -> list[Guild]:
        return [guild for guild in self.world.guilds.values() if guild.has_bot and not guild.is_gone]

    async def until(self, look: Any, what: str, patience: float = PATIENCE) -> Any:
        """The first truthy answer of `look`, asked after each change. Raises NotSeen, naming `what`."""
        return await self.world.changes.until(look, what, patience)

    async def connected(self, sessions: int = 1, patience: float = PATIENCE) -> None:
        """Until this many sessions are connected."""
        await self.until(lambda: len(self.gateway.live) >= sessions, f"{sessions} gateway sessions", patience)

    # Places and people.

    def add_guild(self, name: str = "Guild", *, channels: tuple[str, ...] = ("general",), **traits: Any) -> Guild:
        """With text channels. `has_bot=False` makes one where the bot is not; `guild_id` chooses the shard."""
        guild = self.world.add_guild(name, **traits)
        for channel in channels:
            guild.add_channel(channel)
        self._announce_arrival(guild)
        return guild

    def person(self, name: str, guild: Guild | None = None, **traits: Any) -> Person:
        """Somebody who is in no guild, or in one where they are a plain member."""
        if guild is not None:
            return guild.member(name, **traits)
        return Person(self, self.world.add_user(name, **traits))

    def add_group(self, *people: Person) -> Channel:
        """A group of people's direct messages, where the bot is not."""
        return self.world.add_channel(GROUP, "group", recipients=[person.user for person in people])

    # What happens to places.

    def invite_bot(self, guild: Guild) -> None:
        self.world.add_bot_to(guild)
        self._announce_arrival(guild)

    def kick_bot(self, guild: Guild) -> None:
        self.world.announce("GUILD_DELETE", guild, lambda reader: {"id": str(guild.id)})
        guild.has_bot = False
        del guild.members[self.bot.id]
        self.world.changes.happened()

    def delete_channel(self, channel: Channel) -> None:
        """And its threads."""
        for thread in channel.threads:
            self.delete_channel(thread)
        channel.is_deleted = True
        self._announce_channel("CHANNEL_DELETE", channel)
        self.world.changes.happened()

    def delete_message(self, message: Message) -> None:
        delete_message(self.world, message)

    def archive_thread(self, thread: Channel, *, locked: bool = False) -> None:
        archive(self.world, thread, locked=locked)

    def _announce_arrival(self, guild: Guild) -> None:
        if guild.has_bot:
            self.world.announce("GUILD_CREATE", guild, lambda reader: guild_create_json(guild, self.bot))

    def _announce_role(self, guild: Guild, role: Role) -> None:
        if guild.has_bot:
            told = {"guild_id": str(guild.id), "role": role_json(role)}
            self.world.announce("GUILD_ROLE_CREATE", guild, lambda reader: told)

    def _announce_channel(self, event: str, channel: Channel) -> None:
        if channel.guild is None or not channel.guild.has_bot:
            return
        if channel.is_thread:
            event = event.replace("CHANNEL", "THREAD")
            told = thread_json_for(channel, self.bot)
        else:
            told = channel_json(channel)
        self.world.announce(event, channel.guild, lambda reader: told)
