"""A sandbox in a thread and event loop of its own, beside the bot that `demo` runs."""

import asyncio
import threading

from bot.sandbox.server import Sandbox, SandboxOptions


class SandboxThread:
    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.token = options.token
        self.url = ""
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._listening = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_asked: asyncio.Event | None = None

    def start(self) -> str:
        """Block until it listens; gives the base URL. Raises what kept it from listening, such as OSError."""
        self._thread.start()
        self._listening.wait()
        if self._failure:
            raise self._failure
        return self.url

    def stop(self) -> None:
        """Block until it has stopped. Harmless when it never started or has stopped already."""
        if self._loop and self._stop_asked and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop_asked.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._listening.set()

    async def _serve(self) -> None:
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        sandbox = Sandbox(self.options)
        try:
            self.url = await sandbox.start()
            self._listening.set()
            await self._stop_asked.wait()
        finally:
            await sandbox.stop()
