"""The parts list: opens each part, joins them, closes them in order. No behaviour."""

import logging
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from aiohttp.web import RouteDef
from pydantic import SecretStr

from bot.backends.replicate.backend import ReplicateBackend, webhook_at
from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import BUILT_IN, load
from bot.commands import MENU
from bot.conversations.conversations import Conversations
from bot.core.backend import Backend
from bot.core.clock import Clock, SystemClock
from bot.core.errors import Unavailable
from bot.core.people import Workspace
from bot.core.platform import Connection, Platform
from bot.credits.credits import Credits
from bot.credits.policies import Policies
from bot.credits.pricing import CreditForm
from bot.dispatch import budget_notices
from bot.dispatch.consent import Consent
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.notices import Notices
from bot.dispatch.ranks import Ranks
from bot.dispatch.services import Services
from bot.jobs.inbox import Inbox
from bot.jobs.jobs import Jobs
from bot.jobs.presenting import Presenter
from bot.jobs.queue import Queue
from bot.jobs.recovery import Recovery
from bot.jobs.retention import Limits as RetentionLimits
from bot.jobs.retention import Retention
from bot.jobs.runner import Runner
from bot.jobs.usual_times import UsualTimes
from bot.jobs.work import Parts
from bot.media.media import Media
from bot.moderation.moderation import Moderation
from bot.platforms.discord.access import Access
from bot.platforms.web.door import Door
from bot.platforms.web.page import WebPage
from bot.platforms.web.platform import WebPlatform
from bot.server.health import Check
from bot.server.server import Server
from bot.settings import Owner, Settings
from bot.storage.database import Database

log = logging.getLogger(__name__)

RUNS_AT_ONCE = 2_000
"""Predictions in flight in one process."""

HOME = (Workspace("web", "page"), Workspace("console", "console"))
"""Workspaces that need no permission: whoever reaches them was let in by another door."""


USER_INSTALLS = Workspace("discord", "user-installs")
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
        catalogue = Catalogue(load(settings.catalogue_path or BUILT_IN))
        form = CreditForm(settings.credit_micros)
        policies = Policies(settings.daily_micros, settings.monthly_budget_micros, self.clock)
        self.media = Media(settings.data_dir, allowed_origins=_origins(settings))
        self.backends = backends if backends is not None else _backends(settings, self.clock)
        self.platforms: dict[str, Platform] = {}
        everyone = (*settings.admin_users, *owners)
        moderation = Moderation(self.database, self.clock, _allowed(settings), everyone, settings.retention_days)
        self.notices = Notices(self.platforms, moderation, everyone)
        tell = partial(budget_notices.tell, self.notices, form)
        self.credits = Credits(self.database, policies, form, self.clock, tell)
        presenter = Presenter(form, catalogue, badge)
        times = UsualTimes(self.database, self.clock)
        parts = Parts(
            self.database,
            catalogue,
            self.credits,
            self.media,
            self.backends,
            self.platforms,
            presenter,
            times,
            self.clock,
            Queue(RUNS_AT_ONCE),
        )
        self.runner = Runner(parts)
        self.inbox = Inbox(self.database, self.runner, self.clock)
        self.jobs = Jobs(parts, self.runner, moderation, self.worker)
        conversations = Conversations(self.database, settings.system_prompt, self.clock)
        services = Services(
            self.jobs, conversations, catalogue, self.credits, moderation, self.notices, self.media, MENU
        )
        self.dispatcher = Dispatcher(
            services, Ranks(everyone, moderation), self.notices, Consent(self.database, self.clock, self.media)
        )
        self.connections: list[Connection] = []
        self.recovery = Recovery(
            self.database, self.runner, self.clock, self.worker, self.platforms, is_alone=self.database.is_exclusive
        )
        self.retention = Retention(
            parts, self.jobs.personal, RetentionLimits(settings.retention_days, settings.media_max_bytes)
        )
        self._stack = AsyncExitStack()

    async def open(self, *platforms: Platform, connections: Sequence[Connection] = ()) -> int:
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
        self._stack.push_async_callback(self.jobs.personal.stop)
        for connection in connections:
            self._stack.push_async_callback(connection.close)
            await connection.open()
            self.platforms[connection.platform.name] = connection.platform
            self.connections.append(connection)
        self._stack.push_async_callback(self.credits.alerts.rest)
        taken = await self.recovery.start()
        for connection in connections:
            await connection.listen()
        log.info("app.opened", extra={"worker": self.worker, "jobs_taken_up": taken})
        return taken

    async def serve(self, web: WebPlatform, door: Door, *, find_free: bool = False) -> str:
        """Serve the page to whom the door lets in, health and metrics; gives the page's address."""
        settings = self.settings
        await door.check()
        page = WebPage(
            web,
            self.dispatcher,
            self.media.path_of,
            door,
            host=settings.http_host,
            public_url=settings.public_url,
        )
        server = Server(
            settings.http_host,
            settings.http_port,
            [*page.routes(), *self.routes()],
            self.checks(),
            closers=[page.stop],
        )
        host, port = await server.start(find_free=find_free)
        self._stack.push_async_callback(server.stop)
        self.retention.start()
        self._stack.push_async_callback(self.retention.stop)
        address = f"http://{_in_url(host)}:{port}/"
        self._stack.push_async_callback(door.close)
        await door.open(address)
        return address

    def connections_chosen(self) -> list[Connection]:
        """The platforms whose tokens are set. Each one's SDK is loaded only here, where it is used."""
        settings = self.settings
        wanted = {
            _discord: settings.discord_token is not None,
            _slack: settings.slack_bot_token is not None or settings.slack_client_id is not None,
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
            await connection.quiet()
        self.jobs.is_accepting = False
        await self.jobs.none_being_accepted()
        ended = await self.runner.drain(self.settings.shutdown_grace_seconds)
        log.info("app.drained", extra={"all_ended": ended, "left": self.runner.running})

    async def close(self) -> None:
        """Let go of everything, last opened first."""
        self.jobs.is_accepting = False
        await self._stack.aclose()

    def checks(self) -> dict[str, Check]:
        """What /readyz looks at."""
        reached = {name: partial(_reach, backend) for name, backend in self.backends.items()}
        heard = {connection.platform.name: partial(_reach, connection) for connection in self.connections}
        return {"database": self._can_write, "accepting": self._is_accepting, **reached, **heard}

    async def _can_write(self) -> None:
        async with self.database.write() as tx:
            await tx.workers.record_heartbeat(self.worker, self.clock.now())

    async def _is_accepting(self) -> None:
        if not self.jobs.is_accepting:
            raise Unavailable("draining")


async def _reach(part: Backend | Connection) -> None:
    part.check()


def _backends(settings: Settings, clock: Clock) -> dict[str, Backend]:
    token = settings.replicate_api_token
    replicate = ReplicateBackend(
        settings.replicate_base_url,
        token.get_secret_value() if token else "",
        clock,
        webhook_for=webhook_at(settings.public_url),
    )
    return {replicate.name: replicate}


def discord_access(settings: Settings) -> Access:
    """How Discord is reached, from the settings."""
    return Access(
        token=settings.discord_token.get_secret_value() if settings.discord_token else "",
        api_url=settings.discord_api_url,
        gateway_url=settings.discord_gateway_url or "",
        cdn_url=settings.discord_cdn_url,
        shard_count=settings.discord_shard_count,
        shard_ids=settings.discord_shard_ids,
        allow_user_installs=settings.allow_user_installs,
    )


def _discord(app: App) -> Connection:
    from bot.platforms.discord.connection import DiscordConnection

    return DiscordConnection(discord_access(app.settings), app.dispatcher, app.database, app.media.path_of, app.clock)


def _slack(app: App) -> Connection:
    from bot.platforms.slack.connection import SlackConnection
    from bot.platforms.slack.keys import SlackKeys

    settings = app.settings
    keys = SlackKeys(
        api_url=settings.slack_api_url,
        bot_token=_secret(settings.slack_bot_token),
        app_token=_secret(settings.slack_app_token),
        signing_secret=_secret(settings.slack_signing_secret),
        client_id=settings.slack_client_id or "",
        client_secret=_secret(settings.slack_client_secret),
        command_prefix=settings.slack_command_prefix,
        public_url=settings.public_url or "",
    )
    return SlackConnection(keys, app.dispatcher, app.database, app.media.path_of, app.clock)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _in_url(host: str) -> str:
    """A host as an address names it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _origins(settings: Settings) -> tuple[str, ...]:
    """Origins the guarded fetcher may reach besides public https."""
    return (settings.replicate_base_url, settings.discord_cdn_url, settings.slack_api_url)


def _allowed(settings: Settings) -> frozenset[tuple[str, str]]:
    places = [*HOME, *settings.allowed_workspaces, *([USER_INSTALLS] if settings.allow_user_installs else [])]
    return frozenset((place.platform, place.id) for place in places)
