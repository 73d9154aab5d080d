"""Connects to Discord: login, gateway client with shards, registration, shutdown; and the inspection by `doctor`."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from aiohttp.web import RouteDef

from bot.core.background_tasks import BackgroundTasks
from bot.core.clock import Clock
from bot.core.errors import Unavailable, UserError
from bot.core.platform import Platform
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.parsing import Menu
from bot.media.media import Media
from bot.platforms.discord.channels import build_invite_link, find_missing_permissions
from bot.platforms.discord.chat import DiscordChat
from bot.platforms.discord.config import DiscordConfig
from bot.platforms.discord.deferrals import DeferralJournal, DeferralRecovery
from bot.platforms.discord.discord_py_internals import RawRequests, make_parsers_tolerant, use_api, use_gateway
from bot.platforms.discord.errors import CLOSE_REASONS, REFUSED_TOKEN, REQUEST_ERRORS
from bot.platforms.discord.events import DiscordEventRouter, GuildGreeter
from bot.platforms.discord.pacing import DiscordEditLimits
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.registration import build_application_commands, compare_commands, register
from bot.platforms.discord.replies import DiscordReplies, InteractionContext
from bot.platforms.discord.responses import InteractionResponder
from bot.platforms.discord.rest_api import DiscordRestApi, create_trace
from bot.platforms.discord.threads import DiscordThreads
from bot.platforms.discord.uploads import DiscordFiles
from bot.platforms.discord.users import DiscordUsers
from bot.storage.database import Database
from bot.telemetry.logs import Redactor, describe_origin

log = logging.getLogger(__name__)

# discord.py counts the guild list as complete after so long without a GUILD_CREATE. Servers that come later name
# themselves as known ("unavailable").
READY_AFTER_SECONDS = 0.1
# A start waits so long for the gateway. Later discord.py connects in the background, while the rest of the bot works.
FIRST_CONNECTION_SECONDS = 20.0


def can_read_message_content(flags: discord.ApplicationFlags) -> bool:
    """Whether the application may read all messages, not only mentions and direct messages."""
    return flags.gateway_message_content or flags.gateway_message_content_limited


class DiscordClient(discord.AutoShardedClient):
    """The gateway client: minimal intents, no cache of members and messages. Events go to the router.

    The router's handlers send through the client, so `create_router` takes the client.
    """

    def __init__(
        self,
        intents: discord.Intents,
        config: DiscordConfig,
        create_router: Callable[["DiscordClient"], DiscordEventRouter],
    ) -> None:
        super().__init__(
            intents=intents,
            http_trace=create_trace(),
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            # Model output may contain "@everyone".
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=READY_AFTER_SECONDS,
            # discord.py demands a count beside the ids; `DiscordConnection.open` replaces the 1 by Discord's advice.
            shard_count=config.shard_count or 1,
        )
        self.shard_ids = list(config.shard_ids) or None
        self.connected_shards: set[int] = set()
        self._known_guilds: set[int] = set()
        make_parsers_tolerant(self)
        self.router = create_router(self)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.router.route_interaction(interaction)

    async def on_message(self, message: discord.Message) -> None:
        self.router.route_message(message)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        self.router.route_message_edit(payload.message)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        # Some servers do not mark a known guild that arrives late, and discord.py reports a join.
        if guild.id not in self._known_guilds:
            self.router.route_guild_join(guild)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        self._known_guilds.discard(guild.id)
        self.router.route_guild_leave(guild)

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


class DiscordConnection:
    """Implements `core.platform.PlatformConnection`. `media` keeps the pictures and downloads users' files."""

    def __init__(
        self, config: DiscordConfig, dispatcher: Dispatcher, database: Database, media: Media, clock: Clock
    ) -> None:
        self._config = config
        self._dispatcher = dispatcher
        self._database = database
        self._media = media
        self._clock = clock
        # No members and presences: both are privileged, and Discord closes the gateway with 4014 if they are refused.
        self._intents = discord.Intents(guilds=True, messages=True)
        self._client = DiscordClient(self._intents, config, self._create_router)
        self._running: asyncio.Task[None] | None = None
        self._tasks = BackgroundTasks("discord")

    @property
    def platform(self) -> Platform:
        return self._platform

    def _create_router(self, client: DiscordClient) -> DiscordEventRouter:
        moderation, clock = self._dispatcher.services.moderation, self._clock
        edit_limits = DiscordEditLimits(clock)
        self._api = DiscordRestApi(client, edit_limits, clock)
        self._journal = DeferralJournal(self._config.data_dir)
        responder = InteractionResponder(self._api, clock, self._journal)
        self._threads = DiscordThreads(client, self._api, self._database)
        self._platform = DiscordPlatform(
            client, self._api, responder, self._threads, edit_limits, moderation, self._media, clock
        )
        context = InteractionContext(
            dispatcher=self._dispatcher,
            responder=responder,
            replies=DiscordReplies(self._platform, self._api, responder),
            users=DiscordUsers(client, moderation, clock, allow_user_installs=self._config.allow_user_installs),
            files=DiscordFiles(self._media, self._config.cdn_url),
            platform=self._platform,
            api=self._api,
        )
        chat = DiscordChat(client, context, self._database)
        return DiscordEventRouter(context, chat, GuildGreeter(self._platform, moderation, self._database, clock))

    async def open(self) -> None:
        """Log in. Raise `UserError` if Discord refuses the token or is not reached."""
        use_api(self._config.api_url)
        client = self._client
        try:
            await client.login(self._config.token)
            shards, gateway = await RawRequests(client).fetch_gateway()
        except discord.LoginFailure as error:
            raise UserError(REFUSED_TOKEN) from error
        except (discord.DiscordException, *REQUEST_ERRORS) as error:
            reason = Redactor().redact_text(str(error))
            raise UserError(f"Discord is not reached at {describe_origin(self._config.api_url)}: {reason}.") from error
        use_gateway(self._config.gateway_url or gateway)
        client.shard_count = self._config.shard_count or shards
        # Asking for a privileged intent that is switched off closes the gateway with 4014, so look first. discord.py
        # keeps this object and reads the object when the client connects.
        self._intents.message_content = can_read_message_content(client.application_flags)

    async def listen(self) -> None:
        """Register the commands and connect to the gateway."""
        await self._register()
        recovery = DeferralRecovery(self._journal, self._api, self._database, self._clock)
        self._tasks.spawn(recovery.answer(self._journal.open()), "deferrals of dead processes")
        is_connected = asyncio.create_task(self._wait_for_shard())
        self._running = asyncio.create_task(self._run(), name="discord")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CONNECTION_SECONDS):
                await asyncio.wait({self._running, is_connected}, return_when=asyncio.FIRST_COMPLETED)
        is_connected.cancel()

    async def stop_listening(self) -> None:
        """Refuse new interactions and wait for the running handlers."""
        await self._client.router.stop_listening()

    async def close(self) -> None:
        """Disconnect, and cancel the requests that discord.py holds back."""
        await self._client.close()
        # Requests go last: handlers that still run end with their requests.
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        await self._tasks.cancel()
        await self._threads.close()
        await self._api.close()
        self._journal.close()

    def routes(self) -> Sequence[RouteDef]:
        return ()

    def check(self) -> None:
        """Raise `Unavailable` while a shard of this process is not connected."""
        if self._running is None or self._running.done():
            raise Unavailable("Discord is not connected.")
        shards = self._config.shard_ids or range(self._client.shard_count or 1)
        if missing := set(shards) - self._client.connected_shards:
            raise Unavailable(f"Discord is not connected on {len(missing)} of {len(shards)} shards.")

    async def _register(self) -> None:
        menu, installs = self._dispatcher.services.menu, self._config.allow_user_installs
        try:
            await register(self._client, menu, allow_user_installs=installs)
        except (discord.DiscordException, *REQUEST_ERRORS):
            # The commands of the last start stay registered: better than no bot.
            log.exception("discord.commands_not_registered")

    async def _run(self) -> None:
        try:
            await self._client.connect()
        except discord.ConnectionClosed as error:
            reason = CLOSE_REASONS.get(error.code or 0, str(error))
            log.error("discord.closed", extra={"code": error.code, "reason": reason})
        except discord.PrivilegedIntentsRequired:
            log.error("discord.closed", extra={"code": 4014, "reason": CLOSE_REASONS[4014]})
        except Exception:
            log.exception("discord.stopped")

    async def _wait_for_shard(self) -> Any:
        await self._client.wait_for("shard_connect")


# Inspection for `doctor`, without the gateway.


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
