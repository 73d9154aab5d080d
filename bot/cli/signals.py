"""Waiting until somebody wants the process to stop, on every system."""

import asyncio
import contextlib
import signal


async def wait_for_stop_signal() -> None:
    """Return at the first SIGINT or SIGTERM; a second one stops the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: asyncio.run turns Ctrl-C into a cancellation
            loop.add_signal_handler(name, _stop_at_first_signal, loop, name, stopped)
    with contextlib.suppress(asyncio.CancelledError):
        await stopped.wait()


def _stop_at_first_signal(loop: asyncio.AbstractEventLoop, name: signal.Signals, stopped: asyncio.Event) -> None:
    stopped.set()
    loop.remove_signal_handler(name)
