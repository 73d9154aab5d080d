"""The page over HTTP: its routes, and how what is said on it reaches the dispatcher."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from aiohttp import web

from bot.core.errors import UserError
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.dispatcher import Dispatcher, format_error
from bot.platforms.web import assets, commands, request_parsing
from bot.platforms.web.auth import NAME, NO_STORE, REQUEST_USER, Authenticator, RequestGuard
from bot.platforms.web.current_user import current_user_to_json
from bot.platforms.web.event_stream import PING_SECONDS, STREAMS_PER_PERSON, EventStreams
from bot.platforms.web.files import PathOf, serve_picture, serve_text_file
from bot.platforms.web.job_details import JobDetails
from bot.platforms.web.messages import message_to_json
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.request_parsing import MessageRequest

_UPLOADS_AT_ONCE = 4
_DRAIN_SECONDS = 10.0


class PageRoutes:
    """What a browser talks to. The messages themselves are `WebPlatform`'s."""

    def __init__(
        self,
        platform: WebPlatform,
        dispatcher: Dispatcher,
        path_of: PathOf,
        authenticator: Authenticator,
        *,
        host: str,
        public_url: str | None = None,
        streams_per_person: int = STREAMS_PER_PERSON,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        """`host` is what the server listens on, `public_url` how others reach it."""
        self._platform = platform
        self._dispatcher = dispatcher
        self._path_of = path_of
        self._authenticator = authenticator
        self._guard = RequestGuard(authenticator, host=host, public_url=public_url)
        self._records = JobDetails(dispatcher)
        self._assets = assets.read_assets()
        self._events = EventStreams(
            platform, authenticator, streams_per_person=streams_per_person, ping_seconds=ping_seconds
        )
        self._uploads = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        self._working: set[asyncio.Task[web.Response]] = set()

    def routes(self) -> list[web.RouteDef]:
        """To be handed to the server."""
        guard = self._guard
        return [
            web.get("/", guard.guard_read(self._index)),
            web.get("/join", guard.guard_public(self._join)),
            web.get("/static/{name}", guard.guard_public(self._static)),
            web.get("/media/{sha256}", guard.guard_read(self._media)),
            web.get("/api/me", guard.guard_read(self._me)),
            web.get("/api/files/{message}/{n}", guard.guard_read(self._file)),
            web.get("/api/jobs/{job}", guard.guard_read(self._records.serve)),
            web.get("/api/menu", guard.guard_read(self._menu)),
            web.get("/api/autocomplete", guard.guard_read(self._autocomplete)),
            web.get("/api/channels", guard.guard_read(self._channels)),
            web.get("/api/messages", guard.guard_read(self._messages)),
            web.get("/api/events", guard.guard_read(self._stream)),
            web.post("/api/say", guard.guard_write(self._say)),
            web.post("/api/press", guard.guard_write(self._press)),
            web.post("/api/delete", guard.guard_write(self._delete)),
            *self._authenticator.routes(guard),
        ]

    async def stop(self) -> None:
        """End the streams with a goodbye, and let asks that are being accepted be accepted."""
        await self._events.stop()
        if self._working:
            await asyncio.wait(self._working, timeout=_DRAIN_SECONDS)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return assets.serve_asset(self._assets["index.html"], request)

    async def _join(self, _: web.Request) -> web.StreamResponse:
        return self._guard.serve_login_page()

    async def _me(self, request: web.Request) -> web.StreamResponse:
        return _json_response(
            await current_user_to_json(request[REQUEST_USER], self._authenticator.switchable_users, self._dispatcher)
        )

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return assets.serve_asset(self._assets.get(request.match_info["name"]), request)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        return await serve_picture(request.match_info["sha256"], request.query.get("name", ""), self._path_of)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        message = await self._platform.find_user_message(request[REQUEST_USER], request.match_info["message"])
        return serve_text_file(message.reply.files if message else (), request.match_info["n"])

    async def _menu(self, request: web.Request) -> web.StreamResponse:
        return _json_response(commands.menu_to_json(self._dispatcher.services.menu))

    async def _autocomplete(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        found = commands.list_suggestions(
            self._dispatcher.services, asked.get("command", ""), asked.get("option", ""), asked.get("typed", "")[:200]
        )
        return _json_response(found)

    async def _channels(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        own = f"{user.id}."
        found = await self._platform.list_channels(user)
        return _json_response(
            [{"channel": id_.removeprefix(own), "words": words, "changed": at} for id_, words, at in found]
        )

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request[REQUEST_USER], request.query.get("channel"))
        return _json_response([message_to_json(message) for message in await self._platform.list_messages(channel.id)])

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        return await self._events.serve(request, user.id, self._channel(user, request.query.get("channel")).id)

    async def _say(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        if request.content_type.startswith("multipart/"):
            async with self._uploads:
                return await self._finish(
                    self._accept_message(user, await request_parsing.read_message_request(request))
                )
        return await self._finish(self._accept_message(user, await request_parsing.read_message_request(request)))

    async def _press(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        body = await request_parsing.read_json(request)
        number = body.get("n", 0)
        press = ButtonPress(
            user=user,
            channel=self._channel(user, body.get("channel")),
            action=request_parsing.parse_text(body, "action"),
            job_id=request_parsing.parse_text(body, "job"),
            n=number if isinstance(number, int) else 0,
            request_key=f"web:{request_parsing.parse_request_id(body.get('request_id'))}",
            message_id=request_parsing.parse_text(body, "message"),
        )
        return await self._finish(self._answer_press(press))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        user = request[REQUEST_USER]
        body = await request_parsing.read_json(request)
        key = f"web:{request_parsing.parse_request_id(body.get('request_id'))}"
        return await self._finish(
            self._delete_message(
                user, self._channel(user, body.get("channel")), request_parsing.parse_text(body, "message"), key
            )
        )

    async def _finish(self, work: Coroutine[Any, Any, web.Response]) -> web.Response:
        # A closed tab must not undo half of it, and a stop waits for it.
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return await asyncio.shield(task)

    async def _accept_message(self, user: User, ask: MessageRequest) -> web.Response:
        """Answered only when the job's row is committed: who hears 200 has lost nothing to a crash."""
        channel = self._channel(user, ask.channel)
        said = f"said.{user.id}.{ask.request_id}"
        await self._platform.post_user_message(
            user, channel, said, commands.format_request_text(ask), commands.format_files_note(ask)
        )
        reply = await self._answer(ask, user, channel)
        if reply is not None:
            await self._show(reply, user, channel, f"web:{ask.request_id}")
        return _json_response({"message": said, "error": _get_error(reply)})

    async def _answer(self, ask: MessageRequest, user: User, channel: Channel) -> Reply | None:
        try:
            invocation = commands.build_invocation(ask, self._dispatcher.services.menu, user, channel)
        except UserError as error:
            return format_error(error)
        return await self._dispatcher.handle(invocation)

    async def _answer_press(self, press: ButtonPress) -> web.Response:
        reply = await self._dispatcher.handle_press(press)
        error = _get_error(reply)
        # What a press did wrong is told in passing and does not stay in the conversation.
        if reply is not None and not error:
            await self._show(reply, press.user, press.channel, press.request_key)
        return _json_response({"error": error})

    async def _delete_message(self, user: User, channel: Channel, message_id: str, key: str) -> web.Response:
        """A message of the person's own channel: a job's as its Delete button would, any other just so."""
        message = await self._platform.find_message(channel.id, message_id)
        job = message.job if message is not None and message.is_from_bot else ""
        if job and await self._dispatcher.services.jobs.get(job):
            return await self._answer_press(ButtonPress(user, channel, "delete", job, 0, key, message_id))
        await self._platform.delete(MessageRef(NAME, channel.workspace, channel.id, "", message_id))
        return _json_response({"error": ""})

    async def _show(self, reply: Reply, user: User, channel: Channel, request_key: str) -> None:
        destination = Destination(user, channel, request_key, nonce=f"answer.{user.id}.{request_key}")
        await self._platform.post(destination, replace(reply, is_private=False))

    def _channel(self, user: User, name: object) -> Channel:
        # A person's channels carry their id, so that no name reaches anyone else's.
        return Channel(NAME, user.workspace, f"{user.id}.{request_parsing.parse_channel_name(name)}")


def _get_error(reply: Reply | None) -> str:
    return reply.text if reply is not None and reply.tone is Tone.ERROR else ""


def _json_response(body: JSON) -> web.Response:
    return web.json_response(body, headers=NO_STORE)
