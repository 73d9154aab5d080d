"""The sandbox over real HTTP, in the place of the scripted backend of any platform's bench."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from bot.app import App
from bot.backends.replicate.backend import ReplicateBackend
from bot.core.clock import SystemClock
from bot.sandbox.server import SandboxOptions, SandboxThread


@pytest.fixture(scope="package")
def sandbox() -> Iterator[SandboxThread]:
    """A sandbox in a thread, whose runs take no time."""
    thread = SandboxThread(SandboxOptions(docs=(), speed=0))
    thread.start()
    yield thread
    thread.stop()


@asynccontextmanager
async def use_sandbox(app: App, sandbox: SandboxThread) -> AsyncIterator[None]:
    """Let the bot's models run on the sandbox, by the real client."""
    backend = ReplicateBackend(sandbox.url, sandbox.token, SystemClock())
    app.backends["replicate"] = backend  # type: ignore[index] # a dict, which the jobs share
    try:
        yield
    finally:
        await backend.close()
