"""Waiting in tests for something that must come true soon."""

import asyncio
from collections.abc import Callable


async def wait_until(condition: Callable[[], object]) -> None:
    """Let others run until the condition holds; fails after about two seconds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came true")
