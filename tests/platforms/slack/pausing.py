"""A backend whose words stop wherever a test wants to look."""

import asyncio

from tests.fakes.backend import ScriptedBackend, ScriptedRun


class PausingBackend(ScriptedBackend):
    """`will(...)` as ever, and `pauses`: after so many words each run waits for `go_on`."""

    pauses: tuple[int, ...] = ()
    _gate: asyncio.Event | None = None

    def resume(self) -> None:
        """Up to the next pause."""
        if self._gate is not None:
            self._gate.set()

    async def _hang(self, run: ScriptedRun, words: int) -> None:
        if words in self.pauses:
            self._gate = asyncio.Event()
            waits = [asyncio.ensure_future(self._gate.wait()), asyncio.ensure_future(run.released.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        await super()._wait_if_hanging(run, words)
