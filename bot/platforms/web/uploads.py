"""The places of uploads in memory: few at once, and a single place for each user."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from aiohttp import web

from bot.core.limits import UPLOAD_WAIT_SECONDS

# An upload stands in memory as a whole: up to 25 MB each.
_MAX_CONCURRENT_UPLOADS = 4


class UploadPlaces:
    """Admits uploads. A user's second upload waits for the first: no user takes all the places."""

    def __init__(self, wait_seconds: float = UPLOAD_WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._places = asyncio.Semaphore(_MAX_CONCURRENT_UPLOADS)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, user_id: str) -> AsyncIterator[None]:
        """Hold a place. Raise HTTP 429 if none is free for too long."""
        lock = self._locks.setdefault(user_id, asyncio.Lock())
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await stack.enter_async_context(lock)
                    await stack.enter_async_context(self._places)
            except TimeoutError as error:
                text = "Other files are still on their way. Please send yours again in a minute."
                raise web.HTTPTooManyRequests(text=text) from error
            yield
