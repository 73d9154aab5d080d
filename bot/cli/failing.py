"""What a person reads when a verb cannot start: one sentence, no traceback."""

import sys
from collections.abc import Callable, Sequence
from functools import wraps

from bot.core.errors import EaselError
from bot.settings import SettingsError

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
