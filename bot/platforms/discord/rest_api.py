"""Writing to Discord: creating, editing and deleting messages, and what its refusals mean."""

import io
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import aiohttp
import discord
from discord.http import MultipartParameters, Route
from discord.webhook.async_ import async_context

from bot.core.clock import Clock
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef
from bot.platforms.discord.messages import Payload
from bot.platforms.discord.pacing import DiscordEditLimits
from bot.platforms.discord.permissions import explain_missing_permissions
from bot.platforms.discord.responses import RequestSender
from bot.streaming.pacer import EditBucket

log = logging.getLogger(__name__)

T = TypeVar("T")

# discord.com/developers/docs/topics/opcodes-and-status-codes#json
UNKNOWN_CHANNEL, UNKNOWN_GUILD, UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK = 10003, 10004, 10008, 10015
UNKNOWN_INTERACTION, ALREADY_ACKNOWLEDGED = 10062, 40060
REQUEST_TOO_LARGE = 40005
MISSING_ACCESS, CANNOT_MESSAGE_USER, MISSING_PERMISSIONS, TOKEN_EXPIRED = 50001, 50007, 50013, 50027
THREAD_ARCHIVED = 50083
CANNOT_READ_HISTORY, THREAD_EXISTS = 160002, 160004

_PERMANENT_ERRORS = {
    UNKNOWN_CHANNEL: "That channel is gone.",
    UNKNOWN_GUILD: "I am not in that server any more.",
    UNKNOWN_MESSAGE: "That message was deleted.",
    UNKNOWN_WEBHOOK: "That message cannot be changed any more.",
    TOKEN_EXPIRED: "That message is too old to be changed.",
    CANNOT_MESSAGE_USER: "They do not take messages from me.",
    THREAD_ARCHIVED: "That thread is locked.",
}
CREATE_RETRY_DELAYS_SECONDS = (0.3, 1.0, 3.0)
"""Waits between attempts to create a message; its nonce keeps it one."""


class DiscordRestApi:
    """Sends for one client. Every method raises `MessageLost` where there is nothing left to write to."""

    def __init__(
        self, client: discord.Client, answers: RequestSender, buckets: DiscordEditLimits, clock: Clock
    ) -> None:
        self._client = client
        self._requests = answers
        self._buckets = buckets
        self._clock = clock

    @property
    def session(self) -> aiohttp.ClientSession:
        """The one of discord.py, for what goes by an interaction's token."""
        return discord.Webhook.partial(1, "-", client=self._client).session

    @property
    def application_id(self) -> int:
        return self._client.application_id or 0

    async def create_message(self, place: int, payload: Payload, files: Sequence[discord.File] = ()) -> Any:
        """A new message in a channel or thread, as Discord tells of it."""

        async def attempt() -> Any:
            with _build_parameters(payload, _reopen_files(files)) as parameters:
                return await self._send(self._client.http.send_message(place, params=parameters), place)

        return await self._retry(attempt)

    async def edit_message(
        self, place: int, message: str, payload: Payload, files: Sequence[discord.File] = ()
    ) -> None:
        """Change a message by the bot's own right; where its thread was archived meanwhile, that is opened again."""
        try:
            await self._edit(place, message, payload, files)
        except MessageLost as error:
            if get_error_code(error) != THREAD_ARCHIVED or await self._is_locked(place):
                raise
            route = Route("PATCH", "/channels/{channel_id}", channel_id=place)
            await self._send(self._client.http.request(route, json={"archived": False}), place)
            await self._edit(place, message, payload, files)

    async def _is_locked(self, thread: int) -> bool:
        """Whether moderators closed it for good. discord.py forgets threads that are archived, so Discord is asked."""
        told = await self._send(self._client.http.get_channel(thread), thread)
        return bool((told.get("thread_metadata") or {}).get("locked"))

    async def _edit(self, place: int, message: str, payload: Payload, files: Sequence[discord.File]) -> None:
        with _build_parameters(payload, _reopen_files(files)) as parameters:
            request = self._client.http.edit_message(place, int(message), params=parameters)
            await self._send(request, place, self._buckets.get_channel_bucket(place))

    async def edit_response(self, message: MessageRef, payload: Payload, files: Sequence[discord.File] = ()) -> None:
        """Edit an interaction's message by the interaction's token."""
        adapter, token = async_context.get(), message.token
        with _build_parameters(payload, files) as parameters:
            body: dict[str, Any] = {"payload": parameters.payload, "multipart": parameters.multipart}
            body |= {"files": parameters.files, "session": self.session}
            if message.is_original_response:
                request = adapter.edit_original_interaction_response(self.application_id, token, **body)
            else:
                request = adapter.edit_webhook_message(self.application_id, token, int(message.id), **body)
            await self._send(request, 0, self._buckets.get_interaction_bucket(token))

    async def create_followup(self, token: str, payload: Payload, files: Sequence[discord.File] = ()) -> Any:
        """Another message of an interaction. Discord knows no nonce here."""
        with _build_parameters(payload, files) as parameters:
            request = async_context.get().execute_webhook(
                self.application_id,
                token,
                session=self.session,
                payload=parameters.payload,
                multipart=parameters.multipart,
                files=parameters.files,
                wait=True,
            )
            return await self._send(request, 0, self._buckets.get_interaction_bucket(token))

    async def delete_message(self, place: int, message: str) -> None:
        """Take a message away; harmless when it is gone."""
        try:
            await self._send(self._client.http.delete_message(place, int(message)), place)
        except MessageLost as error:
            if get_error_code(error) not in (UNKNOWN_MESSAGE, UNKNOWN_CHANNEL, UNKNOWN_GUILD):
                raise

    async def delete_response(self, message: MessageRef) -> None:
        """Delete an interaction's message by the interaction's token. Do nothing if the message is gone."""
        adapter, token, session = async_context.get(), message.token, self.session
        if message.is_original_response:
            request = adapter.delete_original_interaction_response(self.application_id, token, session=session)
        else:
            request = adapter.delete_webhook_message(self.application_id, token, int(message.id), session=session)
        try:
            await self._send(request, 0)
        except MessageLost as error:
            if get_error_code(error) != UNKNOWN_MESSAGE:
                raise

    async def get_message(self, place: int, message: str) -> Any:
        """A message as Discord tells of it."""
        return await self._send(self._client.http.get_message(place, int(message)), place)

    async def get_original_response(self, token: str) -> Any:
        """The message that answers an interaction, as Discord tells of it."""
        request = async_context.get().get_original_interaction_response(
            self.application_id, token, session=self.session
        )
        return await self._send(request, 0)

    async def create_thread(self, channel: int, message: str, name: str, minutes: int) -> Any:
        """A thread on a message; its id is the message's."""
        route = Route(
            "POST", "/channels/{channel_id}/messages/{message_id}/threads", channel_id=channel, message_id=message
        )
        body = {"name": name, "auto_archive_duration": minutes}
        return await self._send(self._client.http.request(route, json=body), channel)

    async def open_direct_channel(self, user: int) -> Any:
        """The channel between the bot and somebody, as Discord tells of it."""
        return await self._send(self._client.http.start_private_message(user), 0)

    async def _send(self, request: Any, place: int, bucket: EditBucket | None = None) -> Any:
        try:
            return await self._requests.send(request, bucket)
        except discord.HTTPException as error:
            if (lost := self._translate_error(error, place)) is not None:
                raise lost from error
            raise

    def _translate_error(self, error: discord.HTTPException, place: int) -> MessageLost | None:
        """What is for good, in a sentence; None for what may pass."""
        if error.code in _PERMANENT_ERRORS:
            return MessageLost(_PERMANENT_ERRORS[error.code])
        if error.code in (MISSING_ACCESS, MISSING_PERMISSIONS, CANNOT_READ_HISTORY):
            return MessageLost(explain_missing_permissions(self._client, place))
        return None

    async def _retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Again and again while the connection or Discord's servers fail."""
        for wait in CREATE_RETRY_DELAYS_SECONDS:
            try:
                return await attempt()
            except (aiohttp.ClientError, OSError, discord.HTTPException) as error:
                if isinstance(error, discord.HTTPException) and error.status < 500 and error.status != 429:
                    raise
                log.warning("discord.create_failed", extra={"reason": repr(error), "wait_seconds": wait})
                await self._clock.sleep(wait)
        return await attempt()


def _build_parameters(payload: Payload, files: Sequence[discord.File]) -> MultipartParameters:
    """A body of JSON, or of a form with the files beside it, as discord.py sends them."""
    if not files:
        return MultipartParameters(payload, None, None)
    names = [{"id": n, "filename": file.filename} for n, file in enumerate(files)]
    form: list[dict[str, Any]] = [{"name": "payload_json", "value": json.dumps({**payload, "attachments": names})}]
    form += [
        {"name": f"files[{n}]", "value": file.fp, "filename": file.filename, "content_type": "application/octet-stream"}
        for n, file in enumerate(files)
    ]
    return MultipartParameters(None, form, files)


def _reopen_files(files: Sequence[discord.File]) -> list[discord.File]:
    """Each to be sent once more: sending reads a file to its end, and closes it."""
    return [discord.File(io.BytesIO(_read_file(file)), file.filename) for file in files]


def _read_file(file: discord.File) -> bytes:
    file.fp.seek(0)
    return file.fp.read()


def get_error_code(error: MessageLost) -> int:
    """Discord's own code for it; 0 where Discord was not asked."""
    cause = error.__cause__
    return cause.code if isinstance(cause, discord.HTTPException) else 0
