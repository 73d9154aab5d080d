"""The page's HTTP API: routes, and the way of messages and button presses to the dispatcher and back."""

import math
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

from aiohttp import web

from bot.core import limits
from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.core.errors import UserError
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost
from bot.core.replies import MessageRef, Reply, Tone
from bot.core.token_bucket import TokenBucket
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.confirmation import FILL
from bot.dispatch.dispatcher import Dispatcher, format_error
from bot.dispatch.parsing import find_command
from bot.dispatch.plain_text import quote_words
from bot.media.media import FindPath, MakePreview, make_no_preview
from bot.platforms.web import commands, files, request_parsing
from bot.platforms.web.auth import NAME, NO_STORE, Access, Authenticator, Route
from bot.platforms.web.event_stream import PING_SECONDS, STREAMS_PER_USER, EventStreams
from bot.platforms.web.job_details import JobDetails
from bot.platforms.web.messages import message_to_json
from bot.platforms.web.painting import PaintRoutes
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.request_parsing import REQUEST_USER, MessageRequest, RequestGuard, UploadPlaces

_DRAIN_SECONDS = 10.0


class PageRoutes:
    """Handles the requests of browsers. `WebPlatform` posts and edits the messages."""

    def __init__(
        self,
        platform: WebPlatform,
        dispatcher: Dispatcher,
        find_path: FindPath,
        authenticator: Authenticator,
        *,
        host: str,
        make_preview: MakePreview = make_no_preview,
        public_url: str | None = None,
        streams_per_user: int = STREAMS_PER_USER,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        """`host` is the address of the server's socket, `public_url` the address for other machines."""
        self._platform = platform
        self._dispatcher = dispatcher
        self._find_path = find_path
        self._make_preview = make_preview
        self._authenticator = authenticator
        self._guard = RequestGuard(authenticator, host=host, public_url=public_url)
        self._job_details = JobDetails(dispatcher)
        self._assets = files.read_assets()
        self._events = EventStreams(
            platform, authenticator, streams_per_user=streams_per_user, ping_seconds=ping_seconds
        )
        self._uploads = UploadPlaces()
        self._paces = RecentItems[str, TokenBucket](limits.MAX_PACED_USERS)
        self._tasks = BackgroundTasks("web")
        self._painting = PaintRoutes(dispatcher, find_path, self._assets, self._uploads, self._tasks)

    def routes(self) -> list[web.RouteDef]:
        """Return all routes of the page, for the server."""
        return self._guard.protect(
            [
                Route("GET", "/", Access.READ, self._serve_index),
                Route("GET", "/join", Access.PUBLIC, self._serve_login_page),
                Route("GET", "/static/{name}", Access.PUBLIC, self._serve_asset),
                Route("GET", "/media/{sha256}", Access.READ, self._serve_picture),
                # A link for people of other platforms. A SHA-256 is known to people with the file or the link alone.
                Route("GET", "/shared/{sha256}", Access.PUBLIC, self._serve_shared_file),
                Route("GET", "/api/me", Access.READ, self._get_user),
                Route("GET", "/api/files/{message}/{n}", Access.READ, self._serve_text_file),
                Route("GET", "/api/previews/{message}", Access.READ, self._serve_live_preview),
                Route("GET", "/api/jobs/{job}", Access.READ, self._job_details.serve),
                Route("GET", "/api/menu", Access.READ, self._get_menu),
                Route("GET", "/api/autocomplete", Access.READ, self._autocomplete),
                Route("GET", "/api/channels", Access.READ, self._list_channels),
                Route("GET", "/api/messages", Access.READ, self._list_messages),
                Route("GET", "/api/events", Access.READ, self._stream_events),
                Route("POST", "/api/say", Access.WRITE, self._say),
                Route("POST", "/api/press", Access.WRITE, self._press),
                Route("POST", "/api/form", Access.WRITE, self._submit_form),
                Route("POST", "/api/delete", Access.WRITE, self._delete),
                *self._painting.routes(),
                *self._authenticator.routes(),
            ]
        )

    async def stop(self) -> None:
        """End the event streams, and wait up to ten seconds for messages on the way to the dispatcher."""
        await self._events.stop()
        await self._tasks.drain(_DRAIN_SECONDS)

    async def _serve_index(self, request: web.Request) -> web.StreamResponse:
        return files.serve_asset(self._assets["index.html"], request)

    async def _serve_login_page(self, _: web.Request) -> web.StreamResponse:
        return self._guard.serve_login_page()

    async def _serve_asset(self, request: web.Request) -> web.StreamResponse:
        return files.serve_asset(self._assets.get(request.match_info["name"]), request)

    async def _serve_picture(self, request: web.Request) -> web.StreamResponse:
        # No user check beyond READ: a SHA-256 is known to people with the picture alone.
        sha256, name = request.match_info["sha256"], request.query.get("name", "")
        if "preview" in request.query:
            return await files.serve_preview(sha256, self._find_path, self._make_preview)
        if "message" in request.query:
            message = await self._platform.find_user_message(request[REQUEST_USER], request.query["message"])
            pictures = message.reply.pictures if message is not None else ()
            if picture := next((one for one in pictures if one.sha256 == sha256 and one.recipe), None):
                return await files.serve_download(picture, self._find_path)
        return await files.serve_picture(sha256, name, self._find_path)

    async def _serve_shared_file(self, request: web.Request) -> web.StreamResponse:
        sha256 = request.match_info["sha256"]
        return await files.serve_picture(sha256, request.query.get("name", "") or sha256, self._find_path)

    async def _serve_text_file(self, request: web.Request) -> web.StreamResponse:
        message = await self._platform.find_user_message(request[REQUEST_USER], request.match_info["message"])
        return files.serve_text_file(message.reply.files if message else (), request.match_info["n"])

    async def _serve_live_preview(self, request: web.Request) -> web.StreamResponse:
        preview = await self._platform.find_live_preview(request[REQUEST_USER], request.match_info["message"])
        return files.serve_live_preview(preview)

    async def _get_user(self, request: web.Request) -> web.StreamResponse:
        switchable_users = self._authenticator.switchable_users
        return _json_response(await current_user_to_json(request[REQUEST_USER], switchable_users, self._dispatcher))

    async def _get_menu(self, request: web.Request) -> web.StreamResponse:
        return _json_response(commands.menu_to_json(self._dispatcher.services))

    async def _autocomplete(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        suggestions = await commands.list_suggestions(
            self._dispatcher.services,
            request[REQUEST_USER],
            query.get("command", ""),
            query.get("option", ""),
            query.get("typed", "")[:200],
            {name.removeprefix("given."): value[:200] for name, value in query.items() if name.startswith("given.")},
        )
        return _json_response(suggestions)

    async def _list_channels(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        prefix = f"{user.id}."
        channels = await self._platform.list_channels(user)
        return _json_response(
            [{"channel": id_.removeprefix(prefix), "words": words, "changed": at} for id_, words, at in channels]
        )

    async def _list_messages(self, request: web.Request) -> web.StreamResponse:
        channel = _build_channel(request[REQUEST_USER], request.query.get("channel"))
        return _json_response([message_to_json(message) for message in await self._platform.list_messages(channel.id)])

    async def _stream_events(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        return await self._events.serve(request, user.id, _build_channel(user, request.query.get("channel")).id)

    async def _say(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        self._take_pace(user)
        async with AsyncExitStack() as stack:

            async def take_place() -> None:
                await stack.enter_async_context(self._uploads.take(user.id))

            message_request = await request_parsing.read_message_request(request, take_place)
            return await self._run_to_end(self._accept_message(user, message_request))

    def _take_pace(self, user: User) -> None:
        """Count a message. Raise HTTP 429 for a person who writes too often: no row is stored, and no file is read."""
        per_minute = limits.PAGE_MESSAGES_PER_MINUTE
        pace = self._paces.get(user.id) or TokenBucket(time.monotonic, burst=per_minute, per_second=per_minute / 60)
        self._paces[user.id] = pace
        seconds = math.ceil(pace.seconds_until_available())
        if seconds > 0:
            raise web.HTTPTooManyRequests(text=f"You may write {per_minute} times a minute. Try again in {seconds} s.")
        pace.take()

    async def _press(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        press = _parse_press(user, await request_parsing.read_json(request))
        if press.action == FILL:
            draft = await self._dispatcher.open_form(press)
            if isinstance(draft, Reply):
                return _json_response({"error": draft.text})
            return _json_response({"error": "", "form": commands.form_to_json(draft)})
        return await self._run_to_end(self._handle_press(press))

    async def _submit_form(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        self._take_pace(user)
        async with AsyncExitStack() as stack:

            async def take_place() -> None:
                await stack.enter_async_context(self._uploads.take(user.id))

            form = await request_parsing.read_message_request(request, take_place)
            press = _parse_press(user, form.button)
            submission = self._dispatcher.submit_form(press, form.options, form.files)
            return await self._run_to_end(self._show_press_reply(press, submission))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        body = await request_parsing.read_json(request)
        request_key = f"web:{request_parsing.parse_request_id(body.get('request_id'))}"
        channel = _build_channel(user, body.get("channel"))
        message_id = request_parsing.parse_text(body, "message")
        return await self._run_to_end(self._delete_message(user, channel, message_id, request_key))

    async def _run_to_end(self, work: Coroutine[Any, Any, web.Response]) -> web.Response:
        # A closed tab cancels the request: half-done work would leave a message without its job, so the work goes on.
        return await self._tasks.run_to_end(work, "request")

    async def _accept_message(self, user: User, request: MessageRequest) -> web.Response:
        channel = _build_channel(user, request.channel)
        message_id = f"said.{user.id}.{request.request_id}"
        text, note = commands.format_request_text(request), commands.format_files_note(request)
        is_long = len(text) > limits.MAX_REFUSED_TEXT_CHARACTERS
        shown = _shorten_request(text, note) if is_long else (text, note)
        await self._platform.post_user_message(user, channel, message_id, *shown)
        # The dispatcher returns once the job's row is committed: after our 200 a crash loses no job.
        reply = _bound_error(await self._dispatch(request, user, channel))
        if is_long and not _get_error(reply):
            with suppress(MessageLost):  # deleted meanwhile
                ref = MessageRef(NAME, channel.workspace, channel.id, "", message_id)
                await self._platform.edit(ref, Reply(text=text, note=note))
        if reply is not None:
            await self._post_reply(reply, user, channel, f"web:{request.request_id}")
        return _json_response({"message": message_id, "error": _get_error(reply)})

    async def _dispatch(self, request: MessageRequest, user: User, channel: Channel) -> Reply | None:
        try:
            menu = self._dispatcher.services.menu
            invocation = commands.build_invocation(request, menu, user, channel)
            declaration = find_command(menu, invocation.command).declaration
        except UserError as error:
            return format_error(error)
        # The page has no replies to a message: the answer before is meant.
        quoted = await quote_words(
            declaration, invocation.options, "", lambda: self._platform.read_last_answer(channel.id)
        )
        invocation = replace(invocation, options={**invocation.options, **quoted})
        return await self._dispatcher.handle(invocation)

    async def _handle_press(self, press: ButtonPress) -> web.Response:
        return await self._show_press_reply(press, self._dispatcher.handle_press(press))

    async def _show_press_reply(self, press: ButtonPress, work: Coroutine[Any, Any, Reply | None]) -> web.Response:
        reply = await work
        error = _get_error(reply)
        # The page shows a press's error for some seconds: no message of the conversation.
        if reply is not None and not error:
            await self._post_reply(reply, press.user, press.channel, press.request_key)
        return _json_response({"error": error})

    async def _delete_message(self, user: User, channel: Channel, message_id: str, request_key: str) -> web.Response:
        """Delete a message of the user's channel: a job's message as the Delete button does, any other directly."""
        message = await self._platform.find_message(channel.id, message_id)
        job = message.job if message is not None and message.is_from_bot else ""
        if job and await self._dispatcher.services.jobs.get(job):
            return await self._handle_press(ButtonPress(user, channel, "delete", job, 0, request_key, message_id))
        await self._platform.delete(MessageRef(NAME, channel.workspace, channel.id, "", message_id))
        return _json_response({"error": ""})

    async def _post_reply(self, reply: Reply, user: User, channel: Channel, request_key: str) -> None:
        # The nonce from the request's id: a request sent twice gets a single reply.
        destination = Destination(user, channel, request_key, nonce=f"answer.{user.id}.{request_key}")
        await self._platform.post(destination, replace(reply, is_private=False))


async def current_user_to_json(user: User, switchable_users: Sequence[User], dispatcher: Dispatcher) -> JSON:
    """Return the user, the credits left as text, and `people` if the user may switch to others."""
    credits_ = dispatcher.services.credits
    statement = await credits_.get_statement(user)
    body: dict[str, JSON] = {
        **await _user_to_json(user, dispatcher),
        "left": {
            "today": credits_.formatter.format(statement.today_available_micros),
            "allowance": credits_.formatter.format(statement.daily_allowance_micros),
            "extra": credits_.formatter.format(statement.extra_available_micros),
        },
    }
    if switchable_users:
        body["people"] = [await _user_to_json(other, dispatcher) for other in switchable_users]
    return body


async def _user_to_json(user: User, dispatcher: Dispatcher) -> dict[str, JSON]:
    return {"id": user.id, "name": user.name, "rank": (await dispatcher.authorizer.get_rank(user)).name.lower()}


def _parse_press(user: User, body: Mapping[str, Any]) -> ButtonPress:
    """Return the press in a body. Raise HTTP 400 for a body of another form."""
    number = body.get("n", 0)
    return ButtonPress(
        user=user,
        channel=_build_channel(user, body.get("channel")),
        action=request_parsing.parse_text(body, "action"),
        job_id=request_parsing.parse_text(body, "job"),
        n=number if isinstance(number, int) else 0,
        request_key=f"web:{request_parsing.parse_request_id(body.get('request_id'))}",
        message_id=request_parsing.parse_text(body, "message"),
    )


def _build_channel(user: User, name: object) -> Channel:
    # The user's id in the channel's id: no name reaches another user's channel.
    return Channel(NAME, user.workspace, f"{user.id}.{request_parsing.parse_channel_name(name)}")


def _shorten_request(text: str, note: str) -> tuple[str, str]:
    """Return the beginning of a long request, and a note with the length: the whole is stored once accepted."""
    kept = limits.KEPT_REFUSED_TEXT_CHARACTERS
    about = f"the first {kept} of {len(text):,} characters"
    return f"{text[:kept]}…", f"{note} · {about}" if note else about


def _bound_error(reply: Reply | None) -> Reply | None:
    """Return an error with at most `MAX_ERROR_CHARACTERS`: the sentence may quote a long request."""
    if not _get_error(reply) or reply is None or len(reply.text) <= limits.MAX_ERROR_CHARACTERS:
        return reply
    return replace(reply, text=f"{reply.text[: limits.MAX_ERROR_CHARACTERS]}…")


def _get_error(reply: Reply | None) -> str:
    return reply.text if reply is not None and reply.tone is Tone.ERROR else ""


def _json_response(body: JSON) -> web.Response:
    return web.json_response(body, headers=NO_STORE)
