"""One transaction on a pool's connection: how it ends when even its rollback fails."""

import asyncio
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.storage.postgresql import transaction


class LostConnection:
    """A connection whose other end went away."""

    async def rollback(self) -> None:
        raise ConnectionResetError("connection reset")

    async def close(self) -> None:
        """Nothing is left to close."""


class PoolOfLost:
    """An engine whose connections are all lost once they are used."""

    async def connect(self) -> LostConnection:
        return LostConnection()


async def test_a_cancelled_task_ends_as_cancelled_though_its_rollback_fails() -> None:
    is_inside = asyncio.Event()

    async def work() -> None:
        async with transaction(cast("AsyncEngine", PoolOfLost())):
            is_inside.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await is_inside.wait()
    working.cancel()

    with pytest.raises(asyncio.CancelledError):
        await working
