"""Count the files on the way of one `/imagine`, from Discord's event to the last edit.

The real bot runs on the local Discord emulator and on the sandbox. A profiler notes each file of bot/ in which a
function runs between the command and the finished picture: `python -m benchmarks.imagine_path`.
"""

import asyncio
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import SecretStr

from bot.app import App
from bot.sandbox.server import Sandbox, SandboxOptions
from tests.emulators.discord.emulator import MESSAGE_CONTENT_ALLOWED, DiscordEmulator
from tests.platforms.discord.town import Town, is_done

PACKAGE = Path(__file__).resolve().parents[1] / "bot"

BUILDING_BLOCKS = frozenset(
    {
        "core/background_tasks.py",
        "core/caches.py",
        "core/clock.py",
        "core/ids.py",
        "core/json.py",
        "telemetry/logs.py",
    }
)
"""General helpers whose calls read like the standard library: a reader does not open the file to follow the way."""

BACKGROUND_TASKS = ("recovery", "retention")
"""Periodic tasks that happen to run in the same seconds, by the beginning of the task's name."""


class ReplicateTown(Town):
    """The Discord test server with a bot on the Replicate backend instead of the scripted backend."""

    def create_app(self, folder: Path, **changes: Any) -> App:
        with_script = super().create_app(folder, **changes)
        return App(with_script.settings, clock=self.clock)


class FileTrace:
    """The files of bot/ in which a function was entered while the trace was on, by path relative to bot/."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self._prefix = f"{PACKAGE}/"

    def __enter__(self) -> "FileTrace":
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        is_call = event == "call" and name.startswith(self._prefix) and frame.f_code.co_name != "<module>"
        if is_call and not is_background_task():
            self.files.setdefault(name.removeprefix(self._prefix))


def is_background_task() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without an event loop
        return False
    return task is not None and task.get_name().startswith(BACKGROUND_TASKS)


async def trace_one_imagine(folder: Path) -> list[str]:
    """Return the files of bot/ that run for one `/imagine` on Discord, in the order of the first call."""
    sandbox = Sandbox(SandboxOptions(speed=0))
    await sandbox.start()
    changes = {"replicate_base_url": sandbox.url, "replicate_api_token": SecretStr(sandbox.token)}
    async with DiscordEmulator(application_flags=MESSAGE_CONTENT_ALLOWED) as emulator:
        town = ReplicateTown(folder, emulator, changes)
        await town.open()
        with FileTrace() as trace:
            asked = await town.ana.use_command("imagine", {"prompt": "a fox in the snow"})
            await (await asked.wait_for_message()).wait_until(is_done)
        await town.app.close()
    await sandbox.stop()
    return [name for name in trace.files if not name.startswith("sandbox/")]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="easel-") as folder:
        files = asyncio.run(trace_one_imagine(Path(folder)))
    way = [name for name in files if name not in BUILDING_BLOCKS]
    print("\n".join(way))
    print(f"\n{len(way)} files of bot/ for one /imagine on Discord with the Replicate backend,")
    print(f"and {len(files) - len(way)} building blocks: {', '.join(sorted(BUILDING_BLOCKS & set(files)))}.")


if __name__ == "__main__":
    main()
