"""Tells when every task of the event loop waits for the manual clock, for a scripted backend, or for the test itself.

Such a moment has three signs: no callback is ready to run, no thread of the default executor works, and no database
transaction is open. Tests count all three instead of guessing quiet from a span of silence.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from bot.storage.database import Database, Transaction

TIMEOUT_SECONDS = 10.0
"""The longest wait, on a real clock, for the end of outside work."""

# An endless loop of yields in some task must fail the test, not hang the test.
_MAX_ROUNDS = 100_000


class OutsideWork:
    """Counts the work outside the event loop that ends by waking the loop: calls in threads, and transactions."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._running = 0
        self._is_done = asyncio.Event()
        self._is_done.set()
        self._run_in_executor = loop.run_in_executor
        loop.run_in_executor = self._count_call  # type: ignore[assignment, method-assign]  # to_thread calls it

    def count_transactions(self, database: Database) -> None:
        """Count the transactions of a database from now on, also the wait for a connection and the commit."""
        for name in ("read", "write", "accept"):
            setattr(database, name, partial(self._count_transaction, database, name))

    async def wait_until_done(self) -> None:
        """Wait for the end of all outside work. Raise `TimeoutError` if a transaction or thread does not end."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self._is_done.wait()

    @property
    def is_done(self) -> bool:
        return self._running == 0

    @asynccontextmanager
    async def _count_transaction(self, database: Database, name: str, **options: Any) -> AsyncIterator[Transaction]:
        # Looked up now, on the class: a test may have patched the method meanwhile.
        begin: Callable[..., AbstractAsyncContextManager[Transaction]] = getattr(type(database), name)
        self._begin()
        try:
            async with begin(database, **options) as tx:
                yield tx
        finally:
            self._end()

    def _count_call(self, executor: Any, function: Callable[..., Any], *arguments: Any) -> "asyncio.Future[Any]":
        self._begin()
        call = self._run_in_executor(executor, function, *arguments)
        # A callback of the asyncio future runs in the same round as the awaiting task: no gap looks like quiet.
        call.add_done_callback(lambda _: self._end())
        return call

    def _begin(self) -> None:
        self._running += 1
        self._is_done.clear()

    def _end(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._is_done.set()


_outside_work: "WeakKeyDictionary[asyncio.AbstractEventLoop, OutsideWork]" = WeakKeyDictionary()
_settling_tasks: "WeakKeyDictionary[asyncio.AbstractEventLoop, int]" = WeakKeyDictionary()


def get_outside_work() -> OutsideWork:
    """Return the counter of the running loop, which all benches of a test share."""
    loop = asyncio.get_running_loop()
    if loop not in _outside_work:
        _outside_work[loop] = OutsideWork(loop)
    return _outside_work[loop]


async def settle() -> None:
    """Let every task run until no callback of the event loop is ready."""
    loop: Any = asyncio.get_running_loop()
    others = _settling_tasks.get(loop, 0)
    _settling_tasks[loop] = others + 1
    try:
        for _ in range(_MAX_ROUNDS):
            await asyncio.sleep(0)
            # `_ready` is asyncio's own queue; no public call returns the length. Every other settling task always has
            # a callback there.
            if len(loop._ready) <= _settling_tasks[loop] - 1:
                return
        raise AssertionError("some task yields to the event loop without end")
    finally:
        _settling_tasks[loop] -= 1


async def wait_until_idle() -> None:
    """Let every task run, with threads and transactions, until all wait for the clock, a script, or the test."""
    outside = get_outside_work()
    await settle()
    while not outside.is_done:
        await outside.wait_until_done()
        await settle()
