"""Rows as a person reads them in a terminal."""

import asyncio
import contextlib
import signal
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import wraps

from bot.core.errors import EaselError
from bot.settings import SettingsError


def format_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as they need; the last is left as it is."""
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths[:-1], strict=False)), row[-1]])
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def sanitise_line(text: str, *, max_characters: int = 100) -> str:
    """Somebody else's text on one line, without characters that command a terminal or turn its direction."""
    shown = "".join(" " if unicodedata.category(character).startswith("C") else character for character in text)
    line = " ".join(shown.split())
    return line if len(line) <= max_characters else line[:max_characters].rstrip() + "…"


# MERGED What a person reads when a verb cannot start: one sentence, no traceback.

Verb = Callable[[Sequence[str]], int]


def print_errors(verb: Verb) -> Verb:
    """A verb whose errors are told on stderr, with exit code 1."""

    @wraps(verb)
    def told(arguments: Sequence[str]) -> int:
        try:
            return verb(arguments)
        except (EaselError, SettingsError) as error:
            print(error, file=sys.stderr)
        except OSError as error:
            print(f"{error.strerror or error}: {error.filename or 'is that port free?'}", file=sys.stderr)
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
        return 1

    return told


# MERGED Waiting until somebody wants the process to stop, on every system.


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
