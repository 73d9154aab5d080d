"""Slack, connected: by Socket Mode or by signed HTTP on the shared server, for one workspace or for many."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.core.clock import Clock
from bot.core.errors import NotAllowed, Unavailable
from bot.core.replies import MessageRef
from bot.core.storage import Database
from bot.dispatch.dispatcher import Dispatcher
from bot.platforms.slack.asking import Asking
from bot.platforms.slack.calls import Calls
from bot.platforms.slack.commands import Commands
from bot.platforms.slack.files import Files
from bot.platforms.slack.installations import InstalledTeams
from bot.platforms.slack.listening import Listening
from bot.platforms.slack.oauth import INSTALL_PATH, REDIRECT_PATH, oauth_settings
from bot.platforms.slack.pacing import Budgets
from bot.platforms.slack.people import People
from bot.platforms.slack.platform import SlackPlatform
from bot.platforms.slack.presses import Presses
from bot.platforms.slack.talking import Talking
from bot.platforms.slack.tasks import Tasks
from bot.platforms.slack.teams import OneTeam, Teams, team_from
from bot.platforms.slack.uploads import PathOf

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
_PING_SECONDS = 10.0
_CALL_SECONDS = 30.0
_DRAIN_SECONDS = 10.0
_LOOK_SECONDS = 15.0
_UNKNOWN = (
    "I am not installed in this workspace, or not any more. "
    "Whoever looks after me can install me again, at /slack/install of my address."
)
_REASONS = {
    "invalid_auth": "is not valid",
    "not_authed": "is empty",
    "token_revoked": "was revoked",
    "token_expired": "has expired",
    "account_inactive": "belongs to a workspace or an app that is gone",
    "not_allowed_token_type": "is of the wrong kind",
    "missing_scope": "lacks a scope",
}


@dataclass(frozen=True, slots=True)
class SlackKeys:
    """What opens Slack, from the settings; what is not given is empty."""

    api_url: str
    bot_token: str = ""
    app_token: str = ""
    signing_secret: str = ""
    client_id: str = ""
    client_secret: str = ""
    command_prefix: str = ""
    public_url: str = ""


class SlackConnection:
    """Implements `core.platform.Connection`."""

    def __init__(
        self, keys: SlackKeys, dispatcher: Dispatcher, database: Database, path_of: PathOf, clock: Clock
    ) -> None:
        self._keys = keys
        self._dispatcher = dispatcher
        self._database = database
        self._path_of = path_of
        self._clock = clock
        self._tasks = Tasks()
        self._one = OneTeam()
        self._many = InstalledTeams(database, keys.client_secret, clock) if keys.client_id else None
        self._budgets = Budgets(clock)
        self._session: aiohttp.ClientSession | None = None
        self._platform: SlackPlatform | None = None
        self._app: AsyncApp | None = None
        self._socket: AsyncSocketModeHandler | None = None
        self._looking: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._is_heard = False

    @property
    def platform(self) -> SlackPlatform:
        if self._platform is None:
            raise Unavailable("Slack is not connected yet.")
        return self._platform

    @property
    def _teams(self) -> Teams:
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
        calls = Calls(keys.api_url, self._session, self._teams, self._budgets, self._clock)
        await self._sign_in(calls)
        self._platform = SlackPlatform(calls, self._teams, self._database, self._path_of, self._clock)
        self._app = self._bolt(calls)
        self._join(calls, self._platform, self._app)
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

    async def quiet(self) -> None:
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
        if self._many is None and not self._one.is_joined:
            raise Unavailable("The app was taken out of its workspace.")

    # Signing in.

    async def _sign_in(self, calls: Calls) -> None:
        if self._keys.app_token:
            await self._tried(
                calls.client(self._keys.app_token).apps_connections_open(app_token=self._keys.app_token),
                "SLACK_APP_TOKEN",
            )
        if self._many is None:
            answer = await self._tried(calls.client(self._keys.bot_token).auth_test(), "SLACK_BOT_TOKEN")
            headers = {name.lower(): value for name, value in dict(answer.headers).items()}
            team = team_from(answer.data, self._keys.bot_token, headers.get("x-oauth-scopes", ""))
            self._one.joined(team)
            log.info("slack.signed_in", extra={"team": team.id, "called": team.name})

    async def _tried(self, call: Awaitable, variable: str):  # type: ignore[no-untyped-def,type-arg] # an answer of slack_sdk
        try:
            return await call
        except SlackApiError as error:
            code = str(error.response.get("error") or error.response.status_code)
            reason = _REASONS.get(code, f"was refused ({code})")
            raise NotAllowed(f"{variable} {reason}. See docs/slack.md for how to get one.") from error
        except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError) as error:
            raise Unavailable(f"Slack cannot be reached at {self._keys.api_url}: {type(error).__name__}.") from error

    # slack-bolt.

    def _bolt(self, calls: Calls) -> AsyncApp:
        """slack-bolt with an authorisation of ours: it asks nobody, and knows every workspace that let us in."""
        keys, many = self._keys, self._many
        oauth = None
        if many is not None:
            oauth = oauth_settings(keys.client_id, keys.client_secret, keys.api_url, keys.public_url, many)
        logger = logging.getLogger("slack_bolt.easel")
        # At INFO it logs the bodies of requests with a bad signature, which may hold prompts; and while it is built it
        # warns of every variable of the environment that it does not use.
        logger.setLevel(logging.ERROR)
        app = AsyncApp(
            logger=logger,
            name="easel",
            signing_secret=keys.signing_secret or "none",
            client=calls.client(),
            authorize=_Authorize(self._teams),  # type: ignore[arg-type] # it takes such an object too
            oauth_settings=oauth,
            user_facing_authorize_error_message=_UNKNOWN,
            attaching_conversation_kwargs_enabled=False,
        )
        app.use(self._counted)
        return app

    def _join(self, calls: Calls, platform: SlackPlatform, app: AsyncApp) -> None:
        asking = Asking(self._dispatcher, platform, calls, self._tasks)
        people = People(calls, self._teams, self._clock)
        files = Files(calls, self._teams)
        commands = Commands(asking, calls, people, files, self._keys.command_prefix)
        presses = Presses(asking, commands, people, files, self._database)
        talking = Talking(asking, presses, calls, self._teams, people, files)
        Listening(commands, presses, talking, self._tasks, self._dispatcher.services).join(app, self._removed)

        async def stopped(ref: MessageRef) -> None:
            self._tasks.spawn(self._cancel_shown_in(ref), "stop")

        platform.stopped = stopped

    async def _cancel_shown_in(self, ref: MessageRef) -> None:
        """Slack says that somebody pressed its Stop; the event that says who may be lost."""
        async with self._database.read() as tx:
            job_id = await tx.messages.shown_in(ref.platform, ref.channel, ref.id)
        jobs = self._dispatcher.services.jobs
        job = await jobs.get(job_id) if job_id else None
        if job is not None:
            await jobs.cancel(job, job.user)

    async def _removed(self, team: str) -> None:
        log.warning("slack.removed", extra={"team": team})
        await self._teams.lost(team)

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
                    alive = await tx.workers.count(self._clock.now() - timedelta(seconds=_LOOK_SECONDS))
                self._budgets.share(alive)
                if self._platform is not None:
                    await self._platform.statuses.keep_alive()
            except Exception as error:  # the next look may be luckier
                log.warning("slack.look_failed", extra={"reason": repr(error)})
            await self._clock.sleep(_LOOK_SECONDS)


class _Authorize(AsyncAuthorize):
    """Which installation a request belongs to. slack-bolt's own asks Slack for every single one."""

    def __init__(self, teams: Teams) -> None:
        self._teams = teams

    async def __call__(
        self,
        *,
        context: AsyncBoltContext,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None,
        **_: str | None,
    ) -> AuthorizeResult | None:
        team = await self._teams.get(team_id or "")
        if team is None:
            return None
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team.id,
            bot_token=team.token,
            bot_id=team.bot_id,
            bot_user_id=team.bot_user,
            bot_scopes=sorted(team.scopes),
        )
