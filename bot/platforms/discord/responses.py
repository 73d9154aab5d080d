"""What Discord answers, heard as it arrives.

discord.py sleeps before it returns from the request that takes a bucket's last slot, though the message has changed
already. So answers are taken from aiohttp's trace of the request: headers teach the pace, and whoever waits goes on.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Coroutine
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import aiohttp

from bot.streaming.pacer import EditBucket
from bot.telemetry import metrics

log = logging.getLogger(__name__)

_INVALID_STATUSES = (401, 403, 429)
"""Of these Discord bears 10,000 in ten minutes: discord.com/developers/docs/topics/rate-limits#invalid-request-limit"""


class PendingRequest:
    """One request on its way. `body` is set by a good answer, `broke` by one that says the server is at fault."""

    def __init__(self, bucket: EditBucket | None) -> None:
        loop = asyncio.get_running_loop()
        self.body: asyncio.Future[Any] = loop.create_future()
        self.server_error: asyncio.Future[int] = loop.create_future()
        self._bucket = bucket
        self._status = 0

    def read_headers(self, response: aiohttp.ClientResponse) -> None:
        self._status = response.status
        if response.status >= 500 and not self.server_error.done():
            self.server_error.set_result(response.status)
        if self._bucket is not None:
            with contextlib.suppress(ValueError):  # a proxy's figure that is none teaches nothing
                _update_bucket(self._bucket, response)

    def read_body(self, content: bytes) -> None:
        if 200 <= self._status < 300 and not self.body.done():
            with contextlib.suppress(ValueError):  # no JSON: what discord.py makes of it is waited for
                self.body.set_result(json.loads(content) if content else None)


_current: ContextVar[PendingRequest | None] = ContextVar("call of Discord", default=None)


class DiscordServerError(Exception):
    """Discord answered that it is at fault; the request was given up rather than tried again."""


class RequestSender:
    """Runs requests of discord.py and gives their answers as soon as they are there."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def send(
        self, request: Coroutine[Any, Any, Any], bucket: EditBucket | None = None, *, fails_fast: bool = False
    ) -> Any:
        """The JSON that Discord answers. Raises what discord.py raises, and `ServerBroke` at once if `is_hasty`.

        Whoever stops waiting leaves the request running, unless it is hasty: discord.py may hold what others wait for.
        """
        call = PendingRequest(bucket)
        token = _current.set(call)
        try:
            task = asyncio.create_task(request)
        finally:
            _current.reset(token)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        waited_for = {task, call.body, *([call.server_error] if fails_fast else [])}
        try:
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if fails_fast:
                task.cancel()
            raise
        if call.body.done():
            return call.body.result()
        if task.done():
            return task.result()
        task.cancel()
        raise DiscordServerError(f"Discord answered {call.server_error.result()}")

    async def close(self) -> None:
        """Let go of what still sleeps inside discord.py."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("discord.request_failed", extra={"reason": repr(error)})


def create_trace() -> aiohttp.TraceConfig:
    """What discord.py's session is to tell of its requests."""
    config = aiohttp.TraceConfig()
    config.on_request_end.append(_on_headers)
    config.on_response_chunk_received.append(_on_body)
    return config


async def _on_headers(_: aiohttp.ClientSession, __: SimpleNamespace, told: aiohttp.TraceRequestEndParams) -> None:
    status = told.response.status
    if status == 429:
        metrics.rate_limited.labels(platform="discord").inc()
    if status in _INVALID_STATUSES and told.response.headers.get("X-RateLimit-Scope") != "shared":
        metrics.invalid_requests.labels(platform="discord").inc()
    if (call := _current.get()) is not None:
        call.read_headers(told.response)


async def _on_body(
    _: aiohttp.ClientSession, __: SimpleNamespace, told: aiohttp.TraceResponseChunkReceivedParams
) -> None:
    if (call := _current.get()) is not None:
        call.read_body(told.chunk)


def _parse_seconds(told: str) -> float:
    """How long to wait: seconds, where a proxy does not name a moment instead."""
    try:
        return float(told)
    except ValueError:
        return 1.0


def _update_bucket(bucket: EditBucket, response: aiohttp.ClientResponse) -> None:
    headers = response.headers
    if response.status == 429:
        bucket.block(_parse_seconds(headers.get("Retry-After", "1")))
        return
    remaining, reset_after = headers.get("X-RateLimit-Remaining"), headers.get("X-RateLimit-Reset-After")
    if remaining is not None and reset_after is not None:
        limit = headers.get("X-RateLimit-Limit")
        bucket.update(
            remaining=int(float(remaining)),
            reset_after_seconds=float(reset_after),
            limit=int(float(limit)) if limit else None,
        )
