"""Count the files that a reader opens to follow one `/imagine` from Discord's event to the last edit.

The real bot runs on the local Discord emulator and on the sandbox. A profiler notes each function of bot/ that runs
between the command and the finished picture: `python -m benchmarks.imagine_path`.

A reader opens a file to see what a function does. So a file counts if a function of three statements or more ran in the
file: an accessor or a one-line delegation says all by its name. General helpers, which have their own section in
docs/design.md or read like the standard library, do not count either. The script prints the unfiltered number too.
"""

import ast
import asyncio
import sys
import tempfile
import threading
from contextlib import AsyncExitStack
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
        "core/fair_queue.py",
        "core/ids.py",
        "core/json.py",
        "core/private_files.py",
        "core/text.py",
        "core/token_bucket.py",
        "telemetry/logs.py",
    }
)

MIN_STATEMENTS = 3

PATIENCE_SECONDS = 60.0
"""The profiler makes each call slower, and a busy machine more so."""

BACKGROUND_TASKS = ("recovery", "retention")
"""Periodic tasks that happen to run in the same seconds, by the beginning of the task's name."""


class ReplicateTown(Town):
    """The Discord test server with a bot on the Replicate backend instead of the scripted backend."""

    def create_app(self, folder: Path, **changes: Any) -> App:
        with_script = super().create_app(folder, **changes)
        return App(with_script.settings, clock=self.clock)


class FileTrace:
    """The functions of bot/ that ran while the trace was on: first lines by path relative to bot/."""

    def __init__(self) -> None:
        self.functions: dict[str, set[int]] = {}
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
            self.functions.setdefault(name.removeprefix(self._prefix), set()).add(frame.f_code.co_firstlineno)


def is_background_task() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without an event loop
        return False
    return task is not None and task.get_name().startswith(BACKGROUND_TASKS)


def count_statements(path: Path, first_lines: set[int]) -> int:
    """Return the number of statements of the longest function among those that begin at `first_lines`."""
    longest = 0
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__init__":
            first_line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first_line in first_lines:
                docstrings = sum(
                    isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) for part in node.body
                )
                statements = sum(isinstance(part, ast.stmt) for part in ast.walk(node)) - 1 - docstrings
                longest = max(longest, statements)
    return longest


async def trace_one_imagine(folder: Path) -> dict[str, set[int]]:
    """Return the functions of bot/ that run for one `/imagine` on Discord, by file in the order of the first call."""
    sandbox = Sandbox(SandboxOptions(speed=0))
    async with AsyncExitStack() as stack:
        await sandbox.start()
        stack.push_async_callback(sandbox.stop)
        changes = {"replicate_base_url": sandbox.url, "replicate_api_token": SecretStr(sandbox.token)}
        emulator = await stack.enter_async_context(DiscordEmulator(application_flags=MESSAGE_CONTENT_ALLOWED))
        town = ReplicateTown(folder, emulator, changes)
        await town.open()
        # Also after a failed wait: discord.py swallows a cancellation while it reconnects, and asyncio.run would hang.
        stack.push_async_callback(town.app.close)
        with FileTrace() as trace:
            asked = await town.ana.use_command("imagine", {"prompt": "a fox in the snow"})
            await (await asked.wait_for_message(PATIENCE_SECONDS)).wait_until(is_done, timeout_seconds=PATIENCE_SECONDS)
    return {name: lines for name, lines in trace.functions.items() if not name.startswith("sandbox/")}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="easel-") as folder:
        functions = asyncio.run(trace_one_imagine(Path(folder)))
    opened = [
        name
        for name, first_lines in functions.items()
        if name not in BUILDING_BLOCKS and count_statements(PACKAGE / name, first_lines) >= MIN_STATEMENTS
    ]
    print("\n".join(opened))
    print(f"\n{len(opened)} files to open for one /imagine on Discord with the Replicate backend;")
    print(f"{len(functions)} files of bot/ in which anything runs.")


if __name__ == "__main__":
    main()
