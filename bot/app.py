"""The parts list: opens each part, joins them, closes them in order. No behaviour."""

import logging
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from aiohttp.web import RouteDef
from pydantic import SecretStr

from bot.backends.replicate.backend import ReplicateBackend, make_webhook_url_builder
from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import BUILT_IN_PATH, load_catalogue
from bot.commands import MENU
from bot.conversations.conversations import Conversations
from bot.core.backend import Backend
from bot.core.clock import Clock, SystemClock
from bot.core.errors import Unavailable
from bot.core.people import Workspace
from bot.core.platform import Platform, PlatformConnection
from bot.credits.credits import Credits
from bot.credits.policies import Policies
from bot.credits.pricing import CreditFormatter
from bot.dispatch import notices
from bot.dispatch.confirmation import Confirmations
from bot.dispatch.declaration import Services
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.notices import Notices
from bot.dispatch.roles import Authorizer
from bot.jobs.inbox import Inbox
from bot.jobs.job_queues import JobQueues
from bot.jobs.jobs import Jobs
from bot.jobs.presenting import Presenter
from bot.jobs.recovery import Recovery
from bot.jobs.retention import Retention
from bot.jobs.retention import RetentionLimits as RetentionLimits
from bot.jobs.runner import Runner
from bot.jobs.work import JobServices, UsualTimes
from bot.media.media import Media
from bot.moderation.moderation import Moderation
from bot.platforms.discord.config import DiscordConfig
from bot.platforms.web.auth import Authenticator
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.routes import PageRoutes
from bot.server.server import HealthCheck, Server
from bot.settings import Owner, Settings
from bot.storage.database import Database

log = logging.getLogger(__name__)

RUNS_AT_ONCE = 2_000
"""Predictions in flight in one process."""

LOCAL_WORKSPACES = (Workspace("web", "page"), Workspace("console", "console"))
"""Workspaces that need no permission: whoever reaches them was let in by another door."""


USER_INSTALL_WORKSPACE = Workspace("discord", "user-installs")
"""Where people ask whose place did not invite the bot: they brought it along themselves."""


class App:
    """The bot: `open` it, `serve` its page if there is to be one, and `close` it.

    `badge` names a backend that is not the real one; `owners` are added to the settings' `ADMIN_USERS`. `clock` and
    `backends` stand in for the real ones, in tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        badge: str = "",
        owners: Sequence[Owner] = (),
        clock: Clock | None = None,
        backends: Mapping[str, Backend] | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.database = Database(settings.database_address)
        self.worker = f"{socket.gethostname()}:{uuid.uuid4().hex[:12]}"
        catalogue = Catalogue(load_catalogue(settings.catalogue_path or BUILT_IN_PATH))
        form = CreditFormatter(settings.credit_micros)
        policies = Policies(settings.daily_micros, settings.monthly_budget_micros, self.clock)
        self.media = Media(settings.data_dir, allowed_origins=_list_allowed_origins(settings))
        self.backends = backends if backends is not None else _make_backends(settings, self.clock)
        self.platforms: dict[str, Platform] = {}
        everyone = (*settings.admin_users, *owners)
        moderation = Moderation(
            self.database, self.clock, _list_allowed_workspaces(settings), everyone, settings.retention_days
        )
        self.notices = Notices(self.platforms, moderation, everyone)
        tell = partial(notices.send_budget_alert, self.notices, form)
        self.credits = Credits(self.database, policies, form, self.clock, tell)
        presenter = Presenter(form, catalogue, badge)
        times = UsualTimes(self.database, self.clock)
        parts = JobServices(
            self.database,
            catalogue,
            self.credits,
            self.media,
            self.backends,
            self.platforms,
            presenter,
            times,
            self.clock,
            JobQueues(RUNS_AT_ONCE),
        )
        self.runner = Runner(parts)
        self.inbox = Inbox(self.database, self.runner, self.clock)
        self.jobs = Jobs(parts, self.runner, moderation, self.worker)
        conversations = Conversations(self.database, settings.system_prompt, self.clock)
        services = Services(
            self.jobs, conversations, catalogue, self.credits, moderation, self.notices, self.media, MENU
        )
        confirmations = Confirmations(self.database, self.clock, self.media)
        self.dispatcher = Dispatcher(services, Authorizer(everyone, moderation), self.notices, confirmations)
        self.connections: list[PlatformConnection] = []
        self.recovery = Recovery(
            self.database, self.runner, self.clock, self.worker, self.platforms, is_alone=self.database.is_exclusive
        )
        self.retention = Retention(
            parts, self.jobs.personal_data, RetentionLimits(settings.retention_days, settings.media_max_bytes)
        )
        self._stack = AsyncExitStack()

    async def open(self, *platforms: Platform, connections: Sequence[PlatformConnection] = ()) -> int:
        """Open the database, join the platforms, and take up every job that waits; gives how many.

        People are heard last. Raises a `UserError` where a platform does not let us in.
        """
        self.platforms.update({platform.name: platform for platform in platforms})
        await self.database.open()
        self._stack.push_async_callback(self.database.close)
        for backend in self.backends.values():
            self._stack.push_async_callback(backend.close)
        self._stack.push_async_callback(self.media.close)
        self._stack.push_async_callback(self.recovery.stop)
        self._stack.push_async_callback(self.runner.stop)
        self._stack.push_async_callback(self.jobs.personal_data.stop)
        for connection in connections:
            self._stack.push_async_callback(connection.close)
            await connection.open()
            self.platforms[connection.platform.name] = connection.platform
            self.connections.append(connection)
        self._stack.push_async_callback(self.credits.alerts.wait_until_idle)
        taken = await self.recovery.start()
        for connection in connections:
            await connection.listen()
        log.info("app.opened", extra={"worker": self.worker, "jobs_taken_up": taken})
        return taken

    async def serve(self, web: WebPlatform, authenticator: Authenticator, *, find_free: bool = False) -> str:
        """Serve the page to whom the door lets in, health and metrics; gives the page's address."""
        settings = self.settings
        await authenticator.check()
        page = PageRoutes(
            web,
            self.dispatcher,
            self.media.find_path,
            authenticator,
            host=settings.http_host,
            public_url=settings.public_url,
        )
        server = Server(
            settings.http_host,
            settings.http_port,
            [*page.routes(), *self.routes()],
            self.list_health_checks(),
            closers=[page.stop],
        )
        host, port = await server.start(find_free=find_free)
        self._stack.push_async_callback(server.stop)
        self.retention.start()
        self._stack.push_async_callback(self.retention.stop)
        address = f"http://{_format_host(host)}:{port}/"
        self._stack.push_async_callback(authenticator.close)
        await authenticator.open(address)
        return address

    def make_connections(self) -> list[PlatformConnection]:
        """The platforms whose tokens are set. Each one's SDK is loaded only here, where it is used."""
        settings = self.settings
        wanted = {
            _connect_discord: settings.discord_token is not None,
            _connect_slack: settings.slack_bot_token is not None or settings.slack_client_id is not None,
        }
        return [connect(self) for connect, is_wanted in wanted.items() if is_wanted]

    def routes(self) -> list[RouteDef]:
        """What the server answers for backends and platforms: webhooks, events and sign-ins."""
        speakers = [backend for backend in self.backends.values() if isinstance(backend, ReplicateBackend)]
        hooks = [route for backend in speakers for route in backend.routes(self.inbox.take)]
        return [*hooks, *(route for connection in self.connections for route in connection.routes())]

    async def drain(self) -> None:
        """Take no new asks, and wait for running jobs as long as the settings allow; the rest waits in its rows."""
        for connection in self.connections:
            await connection.stop_listening()
        self.jobs.is_accepting = False
        await self.jobs.wait_until_accepted()
        ended = await self.runner.drain(self.settings.shutdown_grace_seconds)
        log.info("app.drained", extra={"all_ended": ended, "left": self.runner.running_count})

    async def close(self) -> None:
        """Let go of everything, last opened first."""
        self.jobs.is_accepting = False
        await self._stack.aclose()

    def list_health_checks(self) -> dict[str, HealthCheck]:
        """What /readyz looks at."""
        reached = {name: partial(_check_part, backend) for name, backend in self.backends.items()}
        heard = {connection.platform.name: partial(_check_part, connection) for connection in self.connections}
        return {"database": self._can_write, "accepting": self._is_accepting, **reached, **heard}

    async def _can_write(self) -> None:
        async with self.database.write() as tx:
            await tx.workers.record_heartbeat(self.worker, self.clock.now())

    async def _is_accepting(self) -> None:
        if not self.jobs.is_accepting:
            raise Unavailable("draining")


async def _check_part(part: Backend | PlatformConnection) -> None:
    part.check()


def _make_backends(settings: Settings, clock: Clock) -> dict[str, Backend]:
    token = settings.replicate_api_token
    replicate = ReplicateBackend(
        settings.replicate_base_url,
        token.get_secret_value() if token else "",
        clock,
        build_webhook_url=make_webhook_url_builder(settings.public_url),
    )
    return {replicate.name: replicate}


def make_discord_config(settings: Settings) -> DiscordConfig:
    """How Discord is reached, from the settings."""
    return DiscordConfig(
        token=settings.discord_token.get_secret_value() if settings.discord_token else "",
        api_url=settings.discord_api_url,
        gateway_url=settings.discord_gateway_url or "",
        cdn_url=settings.discord_cdn_url,
        shard_count=settings.discord_shard_count,
        shard_ids=settings.discord_shard_ids,
        allow_user_installs=settings.allow_user_installs,
    )


def _connect_discord(app: App) -> PlatformConnection:
    from bot.platforms.discord.connection import DiscordConnection

    return DiscordConnection(
        make_discord_config(app.settings), app.dispatcher, app.database, app.media.find_path, app.clock
    )


def _connect_slack(app: App) -> PlatformConnection:
    from bot.platforms.slack.config import SlackConfig
    from bot.platforms.slack.connection import SlackConnection

    settings = app.settings
    keys = SlackConfig(
        api_url=settings.slack_api_url,
        bot_token=_reveal_secret(settings.slack_bot_token),
        app_token=_reveal_secret(settings.slack_app_token),
        signing_secret=_reveal_secret(settings.slack_signing_secret),
        client_id=settings.slack_client_id or "",
        client_secret=_reveal_secret(settings.slack_client_secret),
        command_prefix=settings.slack_command_prefix,
        public_url=settings.public_url or "",
    )
    return SlackConnection(keys, app.dispatcher, app.database, app.media.find_path, app.clock)


def _reveal_secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _format_host(host: str) -> str:
    """A host as an address names it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _list_allowed_origins(settings: Settings) -> tuple[str, ...]:
    """Origins the guarded fetcher may reach besides public https."""
    return (settings.replicate_base_url, settings.discord_cdn_url, settings.slack_api_url)


def _list_allowed_workspaces(settings: Settings) -> frozenset[tuple[str, str]]:
    places = [
        *LOCAL_WORKSPACES,
        *settings.allowed_workspaces,
        *([USER_INSTALL_WORKSPACE] if settings.allow_user_installs else []),
    ]
    return frozenset((place.platform, place.id) for place in places)
