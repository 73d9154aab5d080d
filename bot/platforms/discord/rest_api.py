"""Sends requests to Discord's HTTP API and returns each answer as soon as the answer arrives.

discord.py sleeps before returning from the request that takes a bucket's last slot, although Discord has applied the
request by then. So answers are read from aiohttp's trace of the request: the caller goes on at once, the edit limits
learn from the headers, and discord.py sleeps in a background task.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
import discord

from bot.core.background_tasks import BackgroundTasks
from bot.core.clock import Clock
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef
from bot.platforms.discord.discord_py_internals import Payload, RawRequest, RawRequests
from bot.platforms.discord.errors import (
    REQUEST_ERRORS,
    THREAD_ARCHIVED,
    UNKNOWN_CHANNEL,
    UNKNOWN_GUILD,
    UNKNOWN_MESSAGE,
    DiscordServerError,
    get_error_code,
    translate_error,
)
from bot.platforms.discord.pacing import DiscordEditLimits, update_bucket
from bot.platforms.discord.uploads import DiscordUpload, open_files
from bot.streaming.pacer import EditBucket
from bot.telemetry import metrics

log = logging.getLogger(__name__)

T = TypeVar("T")

# Waits between attempts to create a message. Repeating is safe: equal nonces make one message.
CREATE_RETRY_DELAYS_SECONDS = (0.3, 1.0, 3.0)
# Discord bans an address after 10,000 of these in ten minutes:
# discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans
_INVALID_STATUSES = (401, 403, 429)
_RATE_LIMITED = 429


class PendingRequest:
    """One request in flight. `answer` completes with Discord's JSON, `server_error` with a status of 500 or more."""

    def __init__(self, bucket: EditBucket | None) -> None:
        loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.server_error: asyncio.Future[int] = loop.create_future()
        self._bucket = bucket
        self._status = 0

    async def run(self, request: RawRequest) -> None:
        """Send the request through discord.py. The result completes `answer`, unless the trace was first."""
        try:
            result = await request
        except asyncio.CancelledError:
            self.answer.cancel()
            raise
        except Exception as error:  # any error belongs to the caller of `send`
            self._fail(error)
        else:
            if not self.answer.done():
                self.answer.set_result(result)

    def abandon(self, request: RawRequest) -> None:
        """Close the request and cancel `answer`, without effect on a request that has ended."""
        request.close()
        self.answer.cancel()

    def read_headers(self, response: aiohttp.ClientResponse) -> None:
        self._status = response.status
        if response.status >= 500 and not self.server_error.done():
            self.server_error.set_result(response.status)
        if self._bucket is not None:
            with contextlib.suppress(ValueError):  # a proxy may send figures that are no numbers
                update_bucket(self._bucket, response)

    def read_body(self, content: bytes) -> None:
        if 200 <= self._status < 300 and not self.answer.done():
            with contextlib.suppress(ValueError):  # no JSON: discord.py decides
                self.answer.set_result(json.loads(content) if content else None)

    def _fail(self, error: Exception) -> None:
        log.debug("discord.request_failed", extra={"reason": repr(error)})
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # a cancelled caller never reads the error: prevent asyncio's warning


_current: ContextVar[PendingRequest | None] = ContextVar("pending Discord request", default=None)


class RequestSender:
    """Runs requests of discord.py in background tasks."""

    def __init__(self) -> None:
        self._tasks = BackgroundTasks("discord")

    async def send(self, request: RawRequest, bucket: EditBucket | None = None, *, fails_fast: bool = False) -> Any:
        """Return Discord's JSON; raise what discord.py raises. With `fails_fast` raise `DiscordServerError` on a 5xx.

        A cancelled caller leaves the request running, because discord.py may hold a lock that other requests wait for
        (one per interaction token, webhook/async_.py). A request that fails fast is cancelled with the caller.
        """
        pending = PendingRequest(bucket)
        # The trace finds the request by this variable: a task copies the context in which the task is created.
        token = _current.set(pending)
        try:
            task = self._tasks.spawn(pending.run(request), "request")
        finally:
            _current.reset(token)
        # A task cancelled before the first step runs nothing: neither the request nor the caller may wait forever.
        task.add_done_callback(lambda _: pending.abandon(request))
        waits = {pending.answer, *([pending.server_error] if fails_fast else [])}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if fails_fast:
                task.cancel()
            raise
        if pending.answer.done():
            return pending.answer.result()
        task.cancel()
        raise DiscordServerError(f"Discord answered {pending.server_error.result()}")

    async def close(self) -> None:
        """Cancel the requests that still sleep inside discord.py."""
        await self._tasks.cancel()


def create_trace() -> aiohttp.TraceConfig:
    """Return the trace that a client's HTTP session needs for `RequestSender`."""
    config = aiohttp.TraceConfig()
    config.on_request_end.append(_on_headers)
    config.on_response_chunk_received.append(_on_body)
    return config


async def _on_headers(_: aiohttp.ClientSession, __: SimpleNamespace, event: aiohttp.TraceRequestEndParams) -> None:
    status = event.response.status
    if status == _RATE_LIMITED:
        metrics.rate_limited.labels(platform="discord").inc()
    # Discord does not count 429s of shared limits as invalid requests.
    if status in _INVALID_STATUSES and event.response.headers.get("X-RateLimit-Scope") != "shared":
        metrics.invalid_requests.labels(platform="discord").inc()
    if (pending := _current.get()) is not None:
        pending.read_headers(event.response)


async def _on_body(
    _: aiohttp.ClientSession, __: SimpleNamespace, event: aiohttp.TraceResponseChunkReceivedParams
) -> None:
    if (pending := _current.get()) is not None:
        pending.read_body(event.chunk)


class DiscordRestApi:
    """The requests of one client. Every method raises `MessageLost` if the message or channel cannot be reached.

    `channel` is the id of a channel or a thread.
    """

    def __init__(self, client: discord.Client, edit_limits: DiscordEditLimits, clock: Clock) -> None:
        self._client = client
        self._raw = RawRequests(client)
        self._requests = RequestSender()
        self._edit_limits = edit_limits
        self._clock = clock

    async def close(self) -> None:
        await self._requests.close()

    async def create_message(self, channel: int, payload: Payload, uploads: Sequence[DiscordUpload] = ()) -> Any:
        """Create a message, with retries; return Discord's JSON of the message."""

        async def attempt() -> Any:
            # Each attempt opens the files anew: sending reads a file to its end and closes the file.
            return await self._send(self._raw.create_message(channel, payload, open_files(uploads)), channel)

        return await self._retry(attempt)

    async def edit_message(
        self, channel: int, message: str, payload: Payload, uploads: Sequence[DiscordUpload] = ()
    ) -> None:
        """Edit a message with the bot's own permissions. Reopen an archived thread unless moderators locked it."""
        try:
            await self._edit(channel, message, payload, uploads)
        except MessageLost as error:
            if get_error_code(error) != THREAD_ARCHIVED or await self._is_locked(channel):
                raise
            await self._send(self._raw.unarchive_thread(channel), channel)
            await self._edit(channel, message, payload, uploads)

    async def get_channel(self, channel: int) -> Any:
        """Return the JSON of a channel or thread. Raise `MessageLost` for a deleted or forbidden one."""
        return await self._send(self._raw.get_channel(channel), channel)

    async def _is_locked(self, thread: int) -> bool:
        # discord.py drops archived threads from its cache, so read the thread from Discord.
        channel = await self.get_channel(thread)
        return bool((channel.get("thread_metadata") or {}).get("locked"))

    async def _edit(self, channel: int, message: str, payload: Payload, uploads: Sequence[DiscordUpload]) -> None:
        request = self._raw.edit_message(channel, int(message), payload, open_files(uploads))
        await self._send(request, channel, self._edit_limits.get_channel_bucket(channel))

    async def delete_message(self, channel: int, message: str) -> None:
        """Delete a message. Do nothing if the message is gone."""
        try:
            await self._send(self._raw.delete_message(channel, int(message)), channel)
        except MessageLost as error:
            if get_error_code(error) not in (UNKNOWN_MESSAGE, UNKNOWN_CHANNEL, UNKNOWN_GUILD):
                raise

    async def get_message(self, channel: int, message: str) -> Any:
        """Return Discord's JSON of a message."""
        return await self._send(self._raw.get_message(channel, int(message)), channel)

    async def create_thread(self, channel: int, message: str, name: str, archive_minutes: int) -> Any:
        """Create a thread on a message. The thread's id is the message's id."""
        body = {"name": name, "auto_archive_duration": archive_minutes}
        return await self._send(self._raw.create_thread(channel, message, body), channel)

    async def open_direct_channel(self, user: int) -> Any:
        """Return Discord's JSON of the direct messages between the bot and a user."""
        return await self._send(self._raw.open_direct_channel(user))

    # By an interaction's token: these need no permission in the channel.

    async def create_response(self, interaction: int, token: str, kind: int, data: Payload | None) -> Any:
        """Send the first response to an interaction. Raise `DiscordServerError` on a 5xx, and discord.py's errors."""
        return await self._requests.send(self._raw.create_response(interaction, token, kind, data), fails_fast=True)

    async def get_original_response(self, token: str) -> Any:
        """Return Discord's JSON of an interaction's first response."""
        return await self._send(self._raw.get_original_response(token))

    async def edit_response(self, message: MessageRef, payload: Payload, uploads: Sequence[DiscordUpload] = ()) -> None:
        """Edit an interaction's message."""
        request = self._raw.edit_response(message.token, _get_response_id(message), payload, open_files(uploads))
        await self._send(request, bucket=self._edit_limits.get_interaction_bucket(message.token))

    async def delete_response(self, message: MessageRef) -> None:
        """Delete an interaction's message. Do nothing if the message is gone."""
        try:
            await self._send(self._raw.delete_response(message.token, _get_response_id(message)))
        except MessageLost as error:
            if get_error_code(error) != UNKNOWN_MESSAGE:
                raise

    async def create_followup(self, token: str, payload: Payload, uploads: Sequence[DiscordUpload] = ()) -> Any:
        """Send a further message of an interaction, without retries: Discord has no nonce for followups."""
        request = self._raw.create_followup(token, payload, open_files(uploads))
        return await self._send(request, bucket=self._edit_limits.get_interaction_bucket(token))

    async def _send(self, request: RawRequest, channel: int = 0, bucket: EditBucket | None = None) -> Any:
        try:
            return await self._requests.send(request, bucket)
        except discord.HTTPException as error:
            if (lost := translate_error(error, self._client, channel)) is not None:
                raise lost from error
            raise

    async def _retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat while the connection breaks or Discord's servers fail."""
        for delay in CREATE_RETRY_DELAYS_SECONDS:
            try:
                return await attempt()
            except REQUEST_ERRORS as error:
                if isinstance(error, discord.HTTPException) and error.status < 500 and error.status != _RATE_LIMITED:
                    raise
                log.warning("discord.create_failed", extra={"reason": repr(error), "wait_seconds": delay})
                await self._clock.sleep(delay)
        return await attempt()


def _get_response_id(message: MessageRef) -> int | None:
    """Return None for the original response: Discord addresses that message as `@original`, not by id."""
    return None if message.is_original_response else int(message.id)
