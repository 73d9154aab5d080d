"""Connects to Slack by Socket Mode, or by signed HTTP on the shared server, for one workspace or for many.

Workspaces install the app by the OAuth flow of slack-bolt.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urljoin

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import NotAllowed, Unavailable
from bot.core.replies import MessageRef
from bot.dispatch.dispatcher import Dispatcher
from bot.media.media import Media
from bot.platforms.slack.buttons import SlackButtons
from bot.platforms.slack.chat import SlackChat
from bot.platforms.slack.commands import SlackCommands
from bot.platforms.slack.config import SlackConfig, authenticate_bot, check_app_token
from bot.platforms.slack.events import EVENT_PATIENCE_SECONDS, SlackEventRouter
from bot.platforms.slack.incoming import SlackMessageReader
from bot.platforms.slack.installations import NAME, InstalledTeams, SingleTeam, SlackTeams
from bot.platforms.slack.manifest import OPTIONAL_SCOPES, SCOPES
from bot.platforms.slack.messages import create_prefixer
from bot.platforms.slack.pacing import SlackRateLimits
from bot.platforms.slack.platform import SlackPlatform
from bot.platforms.slack.replies import SlackReplies, ThreadRoots
from bot.platforms.slack.uploads import SlackFiles
from bot.platforms.slack.users import SlackUsers
from bot.platforms.slack.web_api import SlackWebApi, create_client
from bot.storage.database import Database

log = logging.getLogger(__name__)

TOLERANCE_SECONDS = 300.0
"""Largest difference between a request's time and ours, in either direction; Slack recommends five minutes."""

TIMESTAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"

_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")
_V0_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")

EVENTS_PATH = "/slack/events"
_PING_SECONDS = 10.0
_CALL_SECONDS = 30.0
_DRAIN_SECONDS = 10.0
_WORKER_ALIVE_SECONDS = 15.0
_REFRESH_SECONDS = 15.0
_REMOVAL_SECONDS = 600.0
_MAX_REMOVALS = 1_000
_ACKNOWLEDGE_SECONDS = EVENT_PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class _OpenConnection:
    """Objects with a life from `open` to `close`."""

    session: aiohttp.ClientSession
    teams: SingleTeam | InstalledTeams
    platform: SlackPlatform
    app: AsyncApp


class SlackConnection:
    """Implements `core.platform.PlatformConnection`."""

    def __init__(
        self, config: SlackConfig, dispatcher: Dispatcher, database: Database, media: Media, clock: Clock
    ) -> None:
        self._config = config
        self._dispatcher = dispatcher
        self._database = database
        self._media = media
        self._clock = clock
        self._tasks = BackgroundTasks("slack")
        # Apart from the work for users, which `stop_listening` waits for: the refresh runs for ever.
        self._refresh_tasks = BackgroundTasks("slack")
        self._installed_teams = InstalledTeams(database, config.client_secret, clock) if config.client_id else None
        self._rate_limits = SlackRateLimits(clock)
        self._open: _OpenConnection | None = None
        self._socket: AsyncSocketModeHandler | None = None
        self._removals: RecentItems[tuple[str, float], None] = RecentItems(_MAX_REMOVALS)
        self._requests_in_flight = 0
        self._is_listening = False

    @property
    def platform(self) -> SlackPlatform:
        return self._get_open().platform

    async def open(self) -> None:
        """Check the tokens and get ready to post. Raise `NotAllowed` for a bad token or setting."""
        if not self._config.app_token and not self._config.signing_secret:
            raise NotAllowed("Slack needs SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP.")
        # Below WARNING slack_sdk logs requests and responses: users' text, and the secret address of the socket.
        logging.getLogger("slack_sdk").setLevel(logging.WARNING)
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CALL_SECONDS))
        try:
            self._open = self._build(session, await self._authenticate(session))
        except BaseException:
            await session.close()
            raise
        self._refresh_tasks.spawn(self._refresh_forever(self._open.platform), "refresh")

    async def listen(self) -> None:
        """Receive events from here on."""
        app = self._get_open().app
        if self._config.app_token:
            handler = AsyncSocketModeHandler(app, self._config.app_token, ping_interval=_PING_SECONDS)
            # slack_sdk takes HTTPS_PROXY from the environment but ignores NO_PROXY.
            handler.client.proxy = None
            self._socket = handler
            await handler.connect_async()  # type: ignore[no-untyped-call] # of slack_bolt
        self._is_listening = True
        log.info("slack.listening", extra={"by": "socket" if self._socket else "http"})

    async def stop_listening(self) -> None:
        """Stop receiving events, and wait until each received event is accepted or answered."""
        self._is_listening = False
        if self._socket is not None:
            # Acknowledge first: a closed socket takes no acknowledgement, and Slack would repeat the event.
            await self._wait_for_acknowledgements()
            await self._close_socket()
        await self._tasks.drain(_DRAIN_SECONDS)

    async def close(self) -> None:
        await self._refresh_tasks.cancel()
        await self._close_socket()
        await self._tasks.cancel()
        if self._open is not None:
            await self._open.session.close()

    def routes(self) -> Sequence[web.RouteDef]:
        """Return the route for events, commands and interactions, and the routes of OAuth if there is a client id."""
        routes = [web.post(EVENTS_PATH, self._handle_request)] if self._config.signing_secret else []
        if self._installed_teams is not None:
            routes += [web.get(INSTALL_PATH, self._handle_install), web.get(REDIRECT_PATH, self._handle_redirect)]
        return routes

    def check(self) -> None:
        if not self._is_listening:
            raise Unavailable("Slack hears nobody.")
        if self._socket is not None:
            session = self._socket.client.current_session
            if session is None or session.closed:
                raise Unavailable("The socket to Slack is closed.")
        teams = self._get_open().teams
        if isinstance(teams, SingleTeam) and not teams.is_installed:
            raise Unavailable("The app was taken out of its workspace.")

    def _get_open(self) -> _OpenConnection:
        if self._open is None:
            raise Unavailable("Slack is not connected yet.")
        return self._open

    async def _authenticate(self, session: aiohttp.ClientSession) -> SingleTeam | InstalledTeams:
        config = self._config
        if config.app_token:
            await check_app_token(config.api_url, session, config.app_token)
        if self._installed_teams is not None:
            return self._installed_teams
        return SingleTeam(await authenticate_bot(config.api_url, session, config.bot_token))

    def _build(self, session: aiohttp.ClientSession, teams: SingleTeam | InstalledTeams) -> _OpenConnection:
        """Build the platform, and the slack-bolt app with all listeners."""
        config, services = self._config, self._dispatcher.services
        web_api = SlackWebApi(config.api_url, session, teams, self._rate_limits, self._clock)
        roots = ThreadRoots(web_api, self._tasks)
        platform = SlackPlatform(
            web_api,
            teams,
            self._database,
            self._media.find_path,
            self._clock,
            self._tasks,
            transform=create_prefixer(config.command_prefix, services.menu),
            on_finished=roots.finish,
            on_stopped=self._handle_stop,
        )
        replies = SlackReplies(self._dispatcher, platform, web_api, roots)
        users = SlackUsers(web_api, teams, self._clock)
        files = SlackFiles(web_api, teams, self._media)
        reader = SlackMessageReader(web_api, users, files, self._media)
        commands = SlackCommands(replies, web_api, users, files, reader, config.command_prefix)
        buttons = SlackButtons(replies, commands, users, files, self._database)
        chat = SlackChat(replies, buttons, web_api, teams, users, reader)
        app = create_bolt_app(config, teams, self._installed_teams, web_api)
        app.use(self._count_request)
        SlackEventRouter(
            commands, buttons, chat, self._tasks, services, lambda team: self._handle_removal(teams, team)
        ).register(app)
        return _OpenConnection(session, teams, platform, app)

    async def _close_socket(self) -> None:
        if self._socket is not None:
            await self._socket.close_async()  # type: ignore[no-untyped-call] # of slack_bolt
            self._socket = None

    async def _handle_stop(self, ref: MessageRef) -> None:
        # In the background: the caller is the job's own editor, which the cancellation ends.
        self._tasks.spawn(self._cancel_job_of(ref), "stop")

    async def _cancel_job_of(self, ref: MessageRef) -> None:
        """Cancel the job of a stopped stream. The event with the user who pressed Stop may be lost."""
        async with self._database.read() as tx:
            job_id = await tx.messages.find_job(ref.platform, ref.channel, ref.id)
        jobs = self._dispatcher.services.jobs
        job = await jobs.get(job_id) if job_id else None
        if job is not None:
            await jobs.cancel(job, job.user)

    async def _handle_removal(self, teams: SingleTeam | InstalledTeams, team: str) -> None:
        await teams.remove(team)
        # Slack reports a removal by `app_uninstalled` and `tokens_revoked`, of which either may be missing.
        if self._removals.add_if_new((team, self._clock.monotonic() // _REMOVAL_SECONDS), None):
            log.warning("slack.removed", extra={"team": team})
            await self._dispatcher.services.moderation.admin.record_removal(NAME, team)

    async def _count_request(self, next: Callable[[], Awaitable[object]]) -> None:  # noqa: A002 - slack-bolt's own name
        self._requests_in_flight += 1
        try:
            await next()
        finally:
            self._requests_in_flight -= 1

    async def _wait_for_acknowledgements(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ACKNOWLEDGE_SECONDS):
                await asyncio.sleep(0.02)
                while self._requests_in_flight:  # noqa: ASYNC110 - ends within a few milliseconds
                    await asyncio.sleep(0.005)

    async def _handle_request(self, request: web.Request) -> web.StreamResponse:
        if self._open is None or not self._is_listening:
            raise web.HTTPServiceUnavailable(text="Stopping.")
        now, secret = self._clock.now().timestamp(), self._config.signing_secret
        # The headers alone refuse most strangers: their bodies are not even read.
        body = await request.read() if has_signature(request.headers, now) else b""
        if not is_signature_valid(body, request.headers, secret, now):
            log.warning("slack.bad_signature", extra={"remote": request.remote})
            return web.json_response({"error": "invalid request"}, status=401)
        try:
            bolt_request = _parse_request(request, body)
        except (ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text="That is no request of Slack's.") from error
        return await to_aiohttp_response(await self._open.app.async_dispatch(bolt_request))

    async def _handle_install(self, request: web.Request) -> web.StreamResponse:
        flow = self._get_oauth_flow()
        return await to_aiohttp_response(await flow.handle_installation(_parse_visit(request)))

    async def _handle_redirect(self, request: web.Request) -> web.StreamResponse:
        flow = self._get_oauth_flow()
        return await to_aiohttp_response(await flow.handle_callback(_parse_visit(request)))

    def _get_oauth_flow(self) -> AsyncOAuthFlow:
        flow = self._open.app.oauth_flow if self._open else None
        if flow is None:
            raise web.HTTPNotFound
        return flow

    async def _refresh_forever(self, platform: SlackPlatform) -> None:
        """Share the rate limits with the live workers, and send statuses again before Slack removes a status."""
        while True:
            try:
                async with self._database.read() as tx:
                    workers = await tx.workers.list_alive(self._clock.now() - timedelta(seconds=_WORKER_ALIVE_SECONDS))
                self._rate_limits.set_worker_count(len(workers))
                platform.statuses.refresh()
            except Exception as error:  # the next round may succeed: a locked database must not end the refresh
                log.warning("slack.refresh_failed", extra={"reason": repr(error)})
            await self._clock.sleep(_REFRESH_SECONDS)


def _parse_request(request: web.Request, body: bytes) -> AsyncBoltRequest:
    """Return a signed request for slack-bolt. Raise `ValueError` or `RecursionError` for a body that is no JSON."""
    # Other headers, such as slack-bolt's own X-Slack-Bolt-Lazy-Only, are not covered by the signature.
    names = ("Content-Type", TIMESTAMP, SIGNATURE, "X-Slack-Retry-Num", "X-Slack-Retry-Reason")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    return AsyncBoltRequest(body=body.decode(), headers=headers)  # type: ignore[arg-type] # of slack_bolt


def _parse_visit(request: web.Request) -> AsyncBoltRequest:
    """Return a browser's visit for slack-bolt's OAuth flow, which reads the query and the cookie; no body is parsed."""
    headers = {"Cookie": request.headers["Cookie"]} if "Cookie" in request.headers else {}
    return AsyncBoltRequest(body="", query=request.query_string, headers=headers)  # type: ignore[arg-type] # of slack_bolt


def has_signature(headers: Mapping[str, str], now: float) -> bool:
    """Return whether the headers hold a recent time and the shape of a signature: without both, no body is read."""
    timestamp, signature = headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "")
    if not _UNIX_SECONDS.fullmatch(timestamp) or not _V0_SIGNATURE.fullmatch(signature):
        return False
    return abs(now - int(timestamp)) <= TOLERANCE_SECONDS


def is_signature_valid(body: bytes, headers: Mapping[str, str], secret: str, now: float) -> bool:
    """Return whether the raw body of a request is signed with `secret`, within the tolerance of `now`.

    docs.slack.dev/authentication/verifying-requests-from-slack. The check comes before any parser: slack-bolt parses
    the body first, and its own check raises for a timestamp that is no number and for a signature beyond ASCII.
    """
    if not has_signature(headers, now):
        return False
    signed = b"v0:" + headers[TIMESTAMP].encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers[SIGNATURE])


# Installation by workspaces.

INSTALL_PATH, REDIRECT_PATH = "/slack/install", "/slack/oauth_redirect"
AUTHORIZE_PATH = "/oauth/v2/authorize"

_NOT_INSTALLED = (
    "I am not installed in this workspace, or not any more. "
    "Whoever looks after me can install me again, at /slack/install of my address."
)


def create_bolt_app(
    config: SlackConfig, teams: SlackTeams, installed_teams: InstalledTeams | None, web_api: SlackWebApi
) -> AsyncApp:
    """Return the app without listeners; with `installed_teams` workspaces can install the app by OAuth."""
    logger = logging.getLogger("slack_bolt.easel")
    # At INFO slack-bolt logs the bodies of requests with a bad signature, which may hold prompts. At WARNING its
    # constructor complains about every ignored environment variable.
    logger.setLevel(logging.ERROR)
    return AsyncApp(
        logger=logger,
        name="easel",
        # Without a secret the route for HTTP is not mounted, so no signature is verified with this value.
        signing_secret=config.signing_secret or "none",
        client=create_client(web_api.api_url, web_api.session),
        authorize=_Authorize(teams),  # type: ignore[arg-type] # slack-bolt accepts such an object too
        oauth_settings=create_oauth_settings(config, installed_teams) if installed_teams is not None else None,
        user_facing_authorize_error_message=_NOT_INSTALLED,
        attaching_conversation_kwargs_enabled=False,
        # slack-bolt acknowledges an event before its listener runs, unless the listener is to end first.
        process_before_response=True,
    )


def create_oauth_settings(config: SlackConfig, installed_teams: InstalledTeams) -> AsyncOAuthSettings:
    """Return the settings of slack-bolt's OAuth flow."""
    return AsyncOAuthSettings(
        authorization_url=urljoin(config.api_url, AUTHORIZE_PATH),
        client_id=config.client_id,
        client_secret=config.client_secret,
        scopes=[*SCOPES, *OPTIONAL_SCOPES],
        user_scopes=[],
        redirect_uri=f"{config.public_url}{REDIRECT_PATH}" if config.public_url else None,
        install_path=INSTALL_PATH,
        redirect_uri_path=REDIRECT_PATH,
        installation_store=installed_teams,
        state_store=installed_teams.states,
    )


class _Authorize(AsyncAuthorize):
    """Finds the installation of a request. slack-bolt's own authorisation calls `auth.test` for every request."""

    def __init__(self, teams: SlackTeams) -> None:
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
