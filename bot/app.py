"""The parts list: constructs, opens, serves and closes the bot's parts in order. Behaviour stands in the parts."""

import asyncio
import logging
import shutil
import socket
import uuid
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from aiohttp.web import RouteDef
from pydantic import SecretStr

from bot.backend_registry import open_backends
from bot.backends.replicate.backend import ReplicateBackend, make_webhook_url_builder
from bot.catalogue.added_models import AddedModels
from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import BUILT_IN_PATH, load_catalogue
from bot.commands import list_menu
from bot.conversations.conversations import Conversations
from bot.core.backend import Backend, ModelDirectory
from bot.core.clock import Clock, SystemClock
from bot.core.errors import Unavailable
from bot.core.limits import MIN_FREE_DISK_BYTES
from bot.core.people import Workspace
from bot.core.platform import Platform, PlatformConnection
from bot.core.private_files import restrict
from bot.credits.credits import Credits
from bot.credits.limits import DefaultLimits, Policies
from bot.credits.pricing import CreditFormatter
from bot.dispatch import notices
from bot.dispatch.confirmation import Confirmations
from bot.dispatch.declaration import Services
from bot.dispatch.deployments import IdleDeployments
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.model_runs import ModelRuns
from bot.dispatch.notices import Notices
from bot.dispatch.paint_links import PaintLinks
from bot.dispatch.preparations import Preparations, VoiceAnswers
from bot.dispatch.tool_calls import ToolCalls
from bot.dispatch.trained_models import TrainedModels
from bot.jobs.deletion import Retention, RetentionLimits
from bot.jobs.job_queues import JobQueues
from bot.jobs.jobs import Jobs
from bot.jobs.presenting import Presenter
from bot.jobs.recovery import Inbox, Recovery
from bot.jobs.runner import Runner
from bot.jobs.webhooks import Webhooks
from bot.jobs.work import JobServices, UsualTimes
from bot.media.fetching import Fetcher
from bot.media.media import Media
from bot.moderation.moderation import Authorizer, Moderation
from bot.platforms.discord.config import DiscordConfig
from bot.platforms.web.auth import Authenticator
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.routes import PageRoutes
from bot.server.server import HealthCheck, Server
from bot.settings import Owner, Settings, load_configured_backends
from bot.storage.database import Database

log = logging.getLogger(__name__)

MAX_CONCURRENT_RUNS = 2_000
"""Predictions in flight in a process."""

# The page's authenticator and the machine's own terminal decide themselves about access.
LOCAL_WORKSPACES = (Workspace("web", "page"), Workspace("console", "console"))
# Discord interactions in servers without the bot, from people with a user install.
USER_INSTALL_WORKSPACE = Workspace("discord", "user-installs")


class App:
    """The bot. Call `open`, `serve` for the page, then `drain` and `close`.

    `badge` names an unofficial backend on every result; `owners` are added to the settings' `ADMIN_USERS`. `clock`,
    `backends` and `fetcher` replace the real ones in tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        badge: str = "",
        owners: Sequence[Owner] = (),
        clock: Clock | None = None,
        backends: Mapping[str, Backend] | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.worker = f"{socket.gethostname()}:{uuid.uuid4().hex[:12]}"
        self.database = Database(settings.database_address)
        fetcher = fetcher or Fetcher(_list_allowed_origins(settings))
        self.media = Media(settings.data_dir, fetcher=fetcher, max_kept_bytes=settings.media_max_bytes)
        self.backends = _create_backends(settings, self.clock) if backends is None else backends
        # `open` fills both: a connection needs the dispatcher, and the dispatcher's jobs post by a platform's name.
        self.platforms: dict[str, Platform] = {}
        self.connections: list[PlatformConnection] = []

        all_owners = (*settings.admin_users, *owners)
        catalogue = _create_catalogue(settings, self.backends if backends is None else None)
        self.added_models = AddedModels(self.database, self.clock, catalogue)
        formatter = CreditFormatter(settings.credit_micros)
        moderation = _create_moderation(settings, self.database, self.clock, all_owners)
        self.notices = Notices(self.platforms, moderation, all_owners)
        self.credits = _create_credits(settings, self.database, self.clock, formatter, self.notices)
        self.webhooks = self._create_webhooks(fetcher)

        job_services = JobServices(
            self.database,
            catalogue,
            self.credits,
            self.media,
            self.backends,
            self.platforms,
            Presenter(formatter, catalogue, badge, self._page_url),
            UsualTimes(self.database, self.clock),
            self.clock,
            JobQueues(MAX_CONCURRENT_RUNS, _list_backend_limits(self.backends.values())),
            moderation.get_settings,
            self.webhooks,
        )
        self.runner = Runner(job_services)
        self.inbox = Inbox(self.database, self.runner, self.clock)
        self.jobs = Jobs(job_services, self.runner, moderation, self.worker)
        self.recovery = self._create_recovery()
        self.retention = Retention(job_services, self.jobs.personal_data, _make_retention_limits(settings))

        services = self._create_services(catalogue, moderation)
        self.dispatcher = Dispatcher(services, Authorizer(all_owners, moderation), self.notices)
        job_services.follow_ups.add(ToolCalls(self.dispatcher).follow)
        job_services.follow_ups.add(TrainedModels(self.dispatcher).follow)
        job_services.follow_ups.add(Preparations(self.dispatcher).follow)
        job_services.follow_ups.add(VoiceAnswers(self.dispatcher).follow)
        self.idle_deployments = IdleDeployments(services.runs, catalogue, self.notices)
        self._stack = AsyncExitStack()

    @property
    def _page_url(self) -> str:
        return (self.settings.public_url or "").rstrip("/")

    def _create_webhooks(self, fetcher: Fetcher) -> Webhooks:
        return Webhooks(
            self.database,
            self.clock,
            fetcher,
            self.platforms,
            self.notices.notify_moderators,
            micros_per_credit=self.settings.credit_micros,
            page_url=self._page_url,
        )

    def _create_recovery(self) -> Recovery:
        return Recovery(
            self.database,
            self.runner,
            self.clock,
            self.worker,
            self.platforms,
            self.added_models,
            is_alone=self.database.is_exclusive,
        )

    def _create_services(self, catalogue: Catalogue, moderation: Moderation) -> Services:
        settings = self.settings
        directory = next((one for one in self.backends.values() if isinstance(one, ModelDirectory)), None)
        return Services(
            self.jobs,
            Conversations(self.database, settings.system_prompt, self.clock),
            catalogue,
            self.credits,
            moderation,
            self.notices,
            self.media,
            PaintLinks(self.database, self.clock, self.media, settings.public_url or ""),
            list_menu(has_public_page=settings.public_url is not None),
            ModelRuns(self.added_models, directory, self.database, self.clock),
            self.webhooks,
            Confirmations(self.database, self.clock, self.media),
        )

    async def open(self, *platforms: Platform, connections: Sequence[PlatformConnection] = ()) -> int:
        """Open the database, sign in to the platforms, resume waiting jobs, start listening; return the jobs resumed.

        Raise a `UserError` if a platform refuses the sign-in.
        """
        self.platforms.update({platform.name: platform for platform in platforms})
        # An installation of an earlier version may stand open to other users of the machine.
        restrict(self.settings.data_dir)
        restrict(self.settings.data_dir / "media")
        await self.database.open()
        # Closing runs in reverse: jobs stop before the media, backends and database close.
        for close in (
            self.database.close,
            *(backend.close for backend in self.backends.values()),
            self.media.close,
            self.recovery.stop,
            self.runner.stop,
            self.jobs.personal_data.stop,
        ):
            self._stack.push_async_callback(close)
        for connection in connections:
            await self._connect(connection)
        # Budget alerts are posted through the connections: wait for the last alerts before the connections close.
        self._stack.push_async_callback(self.credits.alerts.wait_until_idle)
        await self.added_models.refresh()
        resumed = await self.recovery.start()
        # Listen last: a press of Stop must find the resumed jobs in the runner.
        for connection in connections:
            await connection.listen()
        log.info("app.opened", extra={"worker": self.worker, "jobs_taken_up": resumed})
        return resumed

    async def serve(self, web: WebPlatform, authenticator: Authenticator, *, find_free: bool = False) -> str:
        """Serve the page, webhooks, health and metrics; return the page's address. `find_free` allows the next ports.

        Raise `UserError` if the page would stand open to other machines, `OSError` if the port is taken.
        """
        settings = self.settings
        await authenticator.check()
        page = PageRoutes(
            web,
            self.dispatcher,
            self.media.find_path,
            authenticator,
            host=settings.http_host,
            make_preview=self.media.make_preview,
            public_url=settings.public_url,
        )
        routes = [*page.routes(), *self.routes()]
        server = Server(settings.http_host, settings.http_port, routes, self.list_health_checks(), closers=[page.stop])
        host, port = await server.start(find_free=find_free)
        self._stack.push_async_callback(server.stop)
        self.retention.start()
        self._stack.push_async_callback(self.retention.stop)
        self.webhooks.start()
        self._stack.push_async_callback(self.webhooks.stop)
        self.idle_deployments.start()
        self._stack.push_async_callback(self.idle_deployments.stop)
        address = f"http://{_format_host(host)}:{port}/"
        self._stack.push_async_callback(authenticator.close)
        await authenticator.open(address)
        return address

    def make_connections(self) -> list[PlatformConnection]:
        """Return a connection for each platform with tokens in the settings."""
        settings = self.settings
        connections = []
        if settings.discord_token is not None:
            connections.append(_make_discord_connection(self))
        if settings.slack_bot_token is not None or settings.slack_client_id is not None:
            connections.append(_make_slack_connection(self))
        return connections

    def routes(self) -> list[RouteDef]:
        """Return the HTTP routes of backends and platforms: webhooks, events and sign-ins."""
        webhooks = [route for backend in self.backends.values() for route in backend.routes(self.inbox.take)]
        return [*webhooks, *(route for connection in self.connections for route in connection.routes())]

    async def drain(self) -> None:
        """Refuse new jobs, and wait for running jobs up to the settings' grace; the database keeps the rest."""
        # Stop listening before refusing: commands already heard are still accepted.
        for connection in self.connections:
            await connection.stop_listening()
        self.jobs.is_accepting = False
        await self.jobs.wait_until_accepted()
        ended = await self.runner.drain(self.settings.shutdown_grace_seconds)
        log.info("app.drained", extra={"all_ended": ended, "left": self.runner.running_count})

    async def close(self) -> None:
        """Close all parts, the last opened first."""
        self.jobs.is_accepting = False
        await self._stack.aclose()

    def list_health_checks(self) -> dict[str, HealthCheck]:
        """Return the checks of /readyz, by the name of the part."""
        backends = {name: partial(_check_part, backend) for name, backend in self.backends.items()}
        platforms = {connection.platform.name: partial(_check_part, connection) for connection in self.connections}
        return {"database": self._check_database, "accepting": self._check_accepting, **backends, **platforms}

    async def _connect(self, connection: PlatformConnection) -> None:
        # Before `open`: `close` also releases the sockets of a failed sign-in.
        self._stack.push_async_callback(connection.close)
        await connection.open()
        self.platforms[connection.platform.name] = connection.platform
        self.connections.append(connection)

    async def _check_database(self) -> None:
        # A transaction for writes that writes nothing: a lost lock fails writes alone, and anyone may ask.
        async with self.database.write() as tx:
            await tx.workers.list_alive(self.clock.now())
        if await asyncio.to_thread(_measure_free_bytes, self.settings.data_dir) < MIN_FREE_DISK_BYTES:
            raise Unavailable("the disk is full")

    async def _check_accepting(self) -> None:
        if not self.jobs.is_accepting:
            raise Unavailable("draining")


def _measure_free_bytes(folder: Path) -> int:
    # The bot creates the folder with the first file.
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


async def _check_part(part: Backend | PlatformConnection) -> None:
    part.check()


def _create_catalogue(settings: Settings, backends: Container[str] | None) -> Catalogue:
    """Return the models of the catalogue's file; with `backends`, those alone that these backends run."""
    models = load_catalogue(settings.catalogue_path or BUILT_IN_PATH)
    # Without a token for Replicate its models are not on offer beside servers of the owner.
    return Catalogue([model for model in models if backends is None or model.backend in backends])


def _make_retention_limits(settings: Settings) -> RetentionLimits:
    return RetentionLimits(settings.retention_days, settings.media_max_bytes)


def _create_moderation(settings: Settings, database: Database, clock: Clock, all_owners: Sequence[Owner]) -> Moderation:
    allowed = [*LOCAL_WORKSPACES, *settings.allowed_workspaces]
    if settings.allow_user_installs:
        allowed.append(USER_INSTALL_WORKSPACE)
    keys = frozenset((workspace.platform, workspace.id) for workspace in allowed)
    return Moderation(database, clock, keys, all_owners, settings.retention_days)


def _create_credits(
    settings: Settings, database: Database, clock: Clock, formatter: CreditFormatter, alerts: Notices
) -> Credits:
    defaults = DefaultLimits(settings.jobs_at_once, settings.jobs_per_minute, settings.failed_runs_micros)
    policies = Policies(settings.daily_micros, settings.monthly_budget_micros, clock, defaults)
    return Credits(database, policies, formatter, clock, partial(notices.send_budget_alert, alerts, formatter))


def _create_backends(settings: Settings, clock: Clock) -> dict[str, Backend]:
    backends = open_backends(load_configured_backends(settings), clock, settings.public_url)
    if settings.replicate_api_token is None and backends:
        return backends
    replicate = ReplicateBackend(
        settings.replicate_base_url,
        _reveal_secret(settings.replicate_api_token),
        clock,
        build_webhook_url=make_webhook_url_builder(settings.public_url),
    )
    return {replicate.name: replicate, **backends}


def _list_backend_limits(backends: Iterable[Backend]) -> dict[str, int]:
    return {backend.name: backend.config.at_once for backend in backends if backend.config.at_once is not None}


def make_discord_config(settings: Settings) -> DiscordConfig:
    """Return the Discord connection's configuration, from the settings."""
    return DiscordConfig(
        token=_reveal_secret(settings.discord_token),
        data_dir=settings.data_dir,
        api_url=settings.discord_api_url,
        gateway_url=settings.discord_gateway_url or "",
        cdn_url=settings.discord_cdn_url,
        shard_count=settings.discord_shard_count,
        shard_ids=settings.discord_shard_ids,
        allow_user_installs=settings.allow_user_installs,
    )


def _make_discord_connection(app: App) -> PlatformConnection:
    # Imported here: a bot without Discord saves the memory of discord.py.
    from bot.platforms.discord.connection import DiscordConnection

    return DiscordConnection(make_discord_config(app.settings), app.dispatcher, app.database, app.media, app.clock)


def _make_slack_connection(app: App) -> PlatformConnection:
    # Imported here: a bot without Slack saves the memory of slack-bolt.
    from bot.platforms.slack.config import SlackConfig
    from bot.platforms.slack.connection import SlackConnection

    settings = app.settings
    config = SlackConfig(
        api_url=settings.slack_api_url,
        bot_token=_reveal_secret(settings.slack_bot_token),
        app_token=_reveal_secret(settings.slack_app_token),
        signing_secret=_reveal_secret(settings.slack_signing_secret),
        client_id=settings.slack_client_id or "",
        client_secret=_reveal_secret(settings.slack_client_secret),
        command_prefix=settings.slack_command_prefix,
        public_url=settings.public_url or "",
    )
    return SlackConnection(config, app.dispatcher, app.database, app.media, app.clock)


def _reveal_secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _format_host(host: str) -> str:
    # RFC 3986: an IPv6 address stands in brackets in a URL.
    return f"[{host}]" if ":" in host else host


def _list_allowed_origins(settings: Settings) -> tuple[str, ...]:
    """Return origins for the guarded fetcher to trust, besides public https."""
    return (settings.discord_cdn_url, settings.slack_api_url)
