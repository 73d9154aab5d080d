"""Tests the end of a transaction when the rollback fails too."""

import asyncio
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.storage.postgresql import open_transaction


class BrokenConnection:
    """A connection after a reset by the server."""

    async def rollback(self) -> None:
        raise ConnectionResetError("connection reset")

    async def close(self) -> None:
        """Do nothing: the connection is closed already."""


class BrokenPool:
    """An engine with broken connections only."""

    async def connect(self) -> BrokenConnection:
        return BrokenConnection()


async def test_a_cancelled_task_ends_as_cancelled_despite_a_failed_rollback() -> None:
    is_inside = asyncio.Event()

    async def work() -> None:
        async with open_transaction(cast("AsyncEngine", BrokenPool())):
            is_inside.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await is_inside.wait()
    working.cancel()

    with pytest.raises(asyncio.CancelledError):
        await working
