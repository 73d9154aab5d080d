"""`python -m bot health`: prints /readyz of the bot on this machine, for containers and supervisors."""

import urllib.error
import urllib.request
from collections.abc import Sequence

from bot.cli.terminal import print_errors, print_text
from bot.settings import load_settings

TIMEOUT_SECONDS = 5


@print_errors
def main(_: Sequence[str]) -> int:
    settings = load_settings()
    # A wildcard is an address to listen on, not to connect to.
    host = "127.0.0.1" if settings.http_host in ("0.0.0.0", "::") else settings.http_host  # noqa: S104 - compared only
    try:
        with urllib.request.urlopen(f"http://{host}:{settings.http_port}/readyz", timeout=TIMEOUT_SECONDS) as answer:
            print_text(answer.read().decode())
            return 0
    except urllib.error.HTTPError as error:
        print_text(error.read().decode())
    except OSError:
        print_text(f"Nothing answers at {host}:{settings.http_port}.")
    return 1
