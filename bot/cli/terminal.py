"""Terminal output of the verbs: columns, untrusted text, errors without tracebacks, and waiting for a stop signal."""

import asyncio
import contextlib
import signal
import sys
import traceback
import unicodedata
from collections.abc import Callable, Sequence
from functools import wraps

from bot.core.errors import EaselError
from bot.core.text import clean_for_terminal
from bot.settings import SettingsError
from bot.telemetry.logs import Redactor

Verb = Callable[[Sequence[str]], int]


def print_errors(verb: Verb) -> Verb:
    """Return a verb that prints an expected error on stderr as a sentence and exits with 1."""

    @wraps(verb)
    def run_verb(arguments: Sequence[str]) -> int:
        try:
            return verb(arguments)
        except (EaselError, SettingsError) as error:
            # Errors of libraries name addresses, and addresses may hold passwords.
            print_text(Redactor().redact_text(str(error)), is_error=True)
        except OSError as error:
            # A taken port is the usual OSError without a file name.
            text = f"{error.strerror or error}: {error.filename or 'is that port free?'}"
            print_text(Redactor().redact_text(text), is_error=True)
        except Exception:  # a bug of ours: the traceback is wanted, the passwords in its last line are not
            print_text(Redactor().redact_text(traceback.format_exc()), is_error=True)
        except KeyboardInterrupt:
            print_text("Stopped.", is_error=True)
        return 1

    return run_verb


def print_text(text: str, *, is_error: bool = False, end: str = "\n") -> None:
    """Print a text of any origin at once: no control character reaches the terminal, and no odd one raises an error."""
    stream = sys.stderr if is_error else sys.stdout
    stream.write(f"{clean_for_terminal(text)}{end}")
    stream.flush()


def format_columns(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as text, each column as wide as its longest cell; the last column is not padded."""
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths[:-1], strict=False)), row[-1]])
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def sanitise_line(text: str, *, max_characters: int = 100) -> str:
    """Return an untrusted text on a single line, without control characters, shortened to `max_characters`."""
    # Unicode categories C*: escape sequences command a terminal, and marks of direction reorder its text.
    printable = "".join(" " if unicodedata.category(character).startswith("C") else character for character in text)
    line = " ".join(printable.split())
    return line if len(line) <= max_characters else line[:max_characters].rstrip() + "…"


async def wait_for_stop_signal() -> None:
    """Return at the first SIGINT or SIGTERM; a second signal ends the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: asyncio.run turns Ctrl-C into a cancellation
            loop.add_signal_handler(name, _stop_at_first_signal, loop, name, stopped)
    with contextlib.suppress(asyncio.CancelledError):
        await stopped.wait()


def _stop_at_first_signal(loop: asyncio.AbstractEventLoop, name: signal.Signals, stopped: asyncio.Event) -> None:
    stopped.set()
    # The default handler is back: an impatient second Ctrl-C kills a drain that hangs.
    loop.remove_signal_handler(name)
