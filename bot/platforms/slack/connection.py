"""Slack, connected: by Socket Mode or by signed HTTP on the shared server, for one workspace or for many."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

from bot.core.clock import Clock
from bot.core.errors import NotAllowed, Unavailable
from bot.core.replies import MessageRef
from bot.dispatch.dispatcher import Dispatcher
from bot.platforms.slack.buttons import SlackButtons
from bot.platforms.slack.chat import SlackChat
from bot.platforms.slack.commands import SlackCommands
from bot.platforms.slack.config import SlackConfig, authenticate_bot, check_app_token
from bot.platforms.slack.events import SlackEventRouter
from bot.platforms.slack.installations import NAME, InstalledTeams, SingleTeam, SlackTeams
from bot.platforms.slack.messages import create_prefixer
from bot.platforms.slack.oauth import INSTALL_PATH, REDIRECT_PATH, create_bolt_app
from bot.platforms.slack.pacing import SlackRateLimits
from bot.platforms.slack.platform import SlackPlatform
from bot.platforms.slack.recent_ids import RecentIds
from bot.platforms.slack.replies import SlackReplies
from bot.platforms.slack.roots import Roots
from bot.platforms.slack.tasks import Tasks
from bot.platforms.slack.uploads import PathOf, SlackFiles
from bot.platforms.slack.users import SlackUsers
from bot.platforms.slack.web_api import SlackWebApi
from bot.storage.database import Database

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
_PING_SECONDS = 10.0
_CALL_SECONDS = 30.0
_DRAIN_SECONDS = 10.0
_LOOK_SECONDS = 15.0
_REMOVAL_SECONDS = 600.0


class SlackConnection:
    """Implements `core.platform.Connection`."""

    def __init__(
        self, keys: SlackConfig, dispatcher: Dispatcher, database: Database, path_of: PathOf, clock: Clock
    ) -> None:
        self._keys = keys
        self._dispatcher = dispatcher
        self._database = database
        self._path_of = path_of
        self._clock = clock
        self._tasks = Tasks()
        self._one = SingleTeam()
        self._many = InstalledTeams(database, keys.client_secret, clock) if keys.client_id else None
        self._budgets = SlackRateLimits(clock)
        self._session: aiohttp.ClientSession | None = None
        self._platform: SlackPlatform | None = None
        self._app: AsyncApp | None = None
        self._socket: AsyncSocketModeHandler | None = None
        self._looking: asyncio.Task[None] | None = None
        self._removals = RecentIds()
        self._in_flight = 0
        self._is_heard = False

    @property
    def platform(self) -> SlackPlatform:
        if self._platform is None:
            raise Unavailable("Slack is not connected yet.")
        return self._platform

    @property
    def _teams(self) -> SlackTeams:
        return self._many or self._one

    async def open(self) -> None:
        """Try the tokens, and be ready to post. Raises `NotAllowed` with a sentence on a bad one."""
        keys = self._keys
        if not keys.app_token and not keys.signing_secret:
            raise NotAllowed("Slack needs SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP.")
        # Below this it logs every request and answer: people's words, and the address of the socket, which is a key.
        logging.getLogger("slack_sdk").setLevel(logging.WARNING)
        timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout)
        calls = SlackWebApi(keys.api_url, self._session, self._teams, self._budgets, self._clock)
        if keys.app_token:
            await check_app_token(calls, keys.app_token)
        if self._many is None:
            self._one.set_team(await authenticate_bot(calls, keys.bot_token))
        roots = Roots(calls, self._tasks)
        self._platform = SlackPlatform(
            calls,
            self._teams,
            self._database,
            self._path_of,
            self._clock,
            self._tasks,
            worded=create_prefixer(keys.command_prefix, self._dispatcher.services.menu),
            on_finished=roots.finish,
            on_stopped=self._stop_pressed,
        )
        self._app = create_bolt_app(keys, self._teams, self._many, calls)
        self._app.use(self._counted)
        self._join(calls, self._platform, roots, self._app)
        self._looking = asyncio.create_task(self._look_around())

    async def listen(self) -> None:
        """Hear people: at once by HTTP, with a socket by Socket Mode."""
        if self._app is None:
            raise Unavailable("Slack is not connected yet.")
        if self._keys.app_token:
            handler = AsyncSocketModeHandler(self._app, self._keys.app_token, ping_interval=_PING_SECONDS)
            handler.client.proxy = None
            self._socket = handler
            await handler.connect_async()  # type: ignore[no-untyped-call] # of slack_bolt
        self._is_heard = True
        log.info("slack.listening", extra={"by": "socket" if self._socket else "http"})

    async def stop_listening(self) -> None:
        """Hear nobody any more, and let what was heard be accepted or answered."""
        self._is_heard = False
        if self._socket is not None:
            await self._all_acknowledged()
            await self._socket.close_async()  # type: ignore[no-untyped-call] # of slack_bolt
            self._socket = None
        await self._tasks.drain(_DRAIN_SECONDS)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close_async()  # type: ignore[no-untyped-call] # of slack_bolt
            self._socket = None
        await self._tasks.cancel()
        if self._session is not None:
            await self._session.close()

    def routes(self) -> Sequence[web.RouteDef]:
        """Events, commands and interactivity at one address; with a client id also how to install the app."""
        routes = [web.post(EVENTS_PATH, self._take)] if self._keys.signing_secret else []
        if self._many is not None:
            routes += [web.get(INSTALL_PATH, self._install), web.get(REDIRECT_PATH, self._installed)]
        return routes

    def check(self) -> None:
        if not self._is_heard:
            raise Unavailable("Slack hears nobody.")
        if self._socket is not None:
            session = self._socket.client.current_session
            if session is None or session.closed:
                raise Unavailable("The socket to Slack is closed.")
        if self._many is None and not self._one.is_installed:
            raise Unavailable("The app was taken out of its workspace.")

    # slack-bolt.

    def _join(self, calls: SlackWebApi, platform: SlackPlatform, roots: Roots, app: AsyncApp) -> None:
        asking = SlackReplies(self._dispatcher, platform, calls, roots)
        people = SlackUsers(calls, self._teams, self._clock)
        files = SlackFiles(calls, self._teams)
        commands = SlackCommands(asking, calls, people, files, self._keys.command_prefix)
        presses = SlackButtons(asking, commands, people, files, self._database)
        talking = SlackChat(asking, presses, calls, self._teams, people, files)
        SlackEventRouter(commands, presses, talking, self._tasks, self._dispatcher.services).register(
            app, self._removed
        )

    async def _stop_pressed(self, ref: MessageRef) -> None:
        self._tasks.spawn(self._cancel_shown_in(ref), "stop")

    async def _cancel_shown_in(self, ref: MessageRef) -> None:
        """Slack says that somebody pressed its Stop; the event that says who may be lost."""
        async with self._database.read() as tx:
            job_id = await tx.messages.find_job(ref.platform, ref.channel, ref.id)
        jobs = self._dispatcher.services.jobs
        job = await jobs.get(job_id) if job_id else None
        if job is not None:
            await jobs.cancel(job, job.user)

    async def _removed(self, team: str) -> None:
        """Slack says so in two events, of which either may come alone."""
        await self._teams.remove(team)
        if self._removals.is_new(f"{team} {self._clock.monotonic() // _REMOVAL_SECONDS}"):
            log.warning("slack.removed", extra={"team": team})
            await self._dispatcher.services.moderation.admin.record_removal(NAME, team)

    async def _counted(self, next: Callable[[], Awaitable[object]]) -> None:  # noqa: A002 - slack-bolt's own name
        self._in_flight += 1
        try:
            await next()
        finally:
            self._in_flight -= 1

    async def _all_acknowledged(self) -> None:
        """What is on its way in is acknowledged over the socket before that closes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.sleep(0.02)
                while self._in_flight:  # noqa: ASYNC110 - it ends within a few milliseconds
                    await asyncio.sleep(0.005)

    # HTTP.

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if self._app is None or not self._is_heard:
            raise web.HTTPServiceUnavailable(text="Stopping.")
        try:
            asked = await to_bolt_request(request)
        except UnicodeDecodeError as error:
            raise web.HTTPBadRequest(text="That is no request of Slack's.") from error
        answer = await self._app.async_dispatch(asked)
        if answer.status == 401:
            log.warning("slack.bad_signature", extra={"remote": request.remote})
        return await to_aiohttp_response(answer)

    async def _install(self, request: web.Request) -> web.StreamResponse:
        flow = self._app.oauth_flow if self._app else None
        if flow is None:
            raise web.HTTPNotFound
        return await to_aiohttp_response(await flow.handle_installation(await to_bolt_request(request)))

    async def _installed(self, request: web.Request) -> web.StreamResponse:
        flow = self._app.oauth_flow if self._app else None
        if flow is None:
            raise web.HTTPNotFound
        return await to_aiohttp_response(await flow.handle_callback(await to_bolt_request(request)))

    # Other workers.

    async def _look_around(self) -> None:
        """Budgets are shared by all processes that are alive, and statuses fade unless they are shown again."""
        while True:
            try:
                async with self._database.read() as tx:
                    alive = await tx.workers.list_alive(self._clock.now() - timedelta(seconds=_LOOK_SECONDS))
                self._budgets.set_worker_count(len(alive))
                if self._platform is not None:
                    self._platform.statuses.refresh()
            except Exception as error:  # the next look may be luckier
                log.warning("slack.look_failed", extra={"reason": repr(error)})
            await self._clock.sleep(_LOOK_SECONDS)
